-- Takes one job from what visitors of a page may have. ARGV: key's id, then visitor, most, address, most: names that
-- are hashes. Nothing is taken unless all have one left. Returns {1}, or {0, which, most, ms until one is there}.
local out = nil
local names = {}
go_on_when_full()
for i = 2, #ARGV, 2 do
  local bucket, most = P .. 'key:rate:' .. ARGV[1] .. ':' .. ARGV[i], tonumber(ARGV[i + 1])
  local have = left(bucket, 'jobs', most)
  if have < 1 then return {0, i == 2 and 'visitor' or 'address', most, math.ceil((1 - have) * 60000 / most)} end
  table.insert(names, {bucket, have})
end
for _, one in ipairs(names) do put(one[1], 'jobs', one[2] - 1) end
return {1}
