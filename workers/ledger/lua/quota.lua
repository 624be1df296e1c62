-- ARGV: tenant, then field, value, … of its own limits. What is not named is as the settings say.
go_on_when_full()
redis.call('DEL', P .. 'quota:' .. ARGV[1])
if #ARGV > 1 then redis.call('HSET', P .. 'quota:' .. ARGV[1], unpack(ARGV, 2)) end
if redis.call('EXISTS', P .. 'jobs:' .. ARGV[1], P .. 'quota:' .. ARGV[1]) == 0 then
  redis.call('SREM', P .. 'tenants', ARGV[1])
else
  redis.call('SADD', P .. 'tenants', ARGV[1])
end
redis.call('PUBLISH', P .. 'signals', 'dispatch')
