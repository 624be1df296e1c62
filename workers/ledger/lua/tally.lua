-- Adds what a process counted. ARGV: the process, the number of this report (a repeat adds nothing), then for each count
-- its name, its model or '', and the amount. A model gets a name with its first job that succeeds (`finish`): attempts
-- alone don't make one, or models that nobody has would.
go_on_when_full()
local seen = P .. 'sight:seen:' .. ARGV[1]
if tonumber(redis.call('GET', seen) or '0') >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', seen, ARGV[2], 'PX', 3600000)
for i = 3, #ARGV, 3 do
  local what = ARGV[i]
  if ARGV[i + 1] ~= '' then what = string.gsub(what, '{model}', (string.gsub(label(ARGV[i + 1], false), '%%', '%%%%'))) end
  count(what, ARGV[i + 2])
end
return 1
