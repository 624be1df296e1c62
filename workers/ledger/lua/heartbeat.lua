-- ARGV: worker's name, its description as JSON, ms after which it counts as gone.
go_on_when_full()
redis.call('HSET', P .. 'workers', ARGV[1], ARGV[2])
redis.call('ZADD', P .. 'seen', now, ARGV[1])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'seen', '-inf', now - ARGV[3])) do
  redis.call('ZREM', P .. 'seen', name)
  redis.call('HDEL', P .. 'workers', name)
end
return now
