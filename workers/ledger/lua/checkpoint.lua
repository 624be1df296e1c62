-- ARGV: id, token, then name, JSON, … Setting the same again changes nothing, so no nonce. Returns the standing.
-- A part is kept when the call that made it has ended: the ids of that call are of no more use.
go_on_when_full()
local stands = standing(ARGV[1], ARGV[2], true)
if stands == 'lost' then return stands end
redis.call('HSET', P .. 'checkpoints:' .. ARGV[1], unpack(ARGV, 3))
redis.call('DEL', P .. 'tokens:' .. ARGV[1])
return stands
