-- ARGV: worker's name, its description as JSON, ms after which it counts as gone, what tells this process from an
-- earlier one of the same name. When it was first seen is kept, so that what an earlier one held counts as its death.
go_on_when_full()
if redis.call('HGET', P .. 'process', ARGV[1]) ~= ARGV[4] then
  redis.call('HSET', P .. 'process', ARGV[1], ARGV[4])
  redis.call('HSET', P .. 'born', ARGV[1], now)
end
redis.call('HSET', P .. 'workers', ARGV[1], ARGV[2])
redis.call('ZADD', P .. 'seen', now, ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'seen', '-inf', now - ARGV[3])) do
  redis.call('ZREM', P .. 'seen', name)
  redis.call('HDEL', P .. 'workers', name)
  redis.call('HDEL', P .. 'born', name)
  redis.call('HDEL', P .. 'process', name)
end
return now
