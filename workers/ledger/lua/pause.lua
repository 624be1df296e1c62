-- ARGV: '1' to hold back, '0' to let go; then queues and tenant:NAME, …
go_on_when_full()
if ARGV[1] == '1' then
  redis.call('SADD', P .. 'paused', unpack(ARGV, 2))
else
  redis.call('SREM', P .. 'paused', unpack(ARGV, 2))
end
redis.call('PUBLISH', P .. 'signals', 'dispatch')
