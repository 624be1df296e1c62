-- ARGV: name and instant, nonce of the caller, ms to remember. Returns 1 for one caller alone, however often it asks.
go_on_when_full()
local key = P .. 'once:' .. ARGV[1]
local who = redis.call('GET', key)
if who then return who == ARGV[2] and 1 or 0 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 1
