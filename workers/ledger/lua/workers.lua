-- ARGV: ms after which a worker counts as gone. Returns {description, ms since it was seen, …}.
local out = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'seen', now - ARGV[1], '+inf')) do
  local info = redis.call('HGET', P .. 'workers', name)
  if info then
    table.insert(out, info)
    table.insert(out, now - redis.call('ZSCORE', P .. 'seen', name))
  end
end
return out
