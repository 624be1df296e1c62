-- ARGV: id, token, lease in ms. Returns the standing.
-- A lease that ran out but was not reaped may be renewed: nobody else has held the job in between.
go_on_when_full()
local stands = standing(ARGV[1], ARGV[2], false)
if stands == 'lost' then return stands end
redis.call('HSET', job_key(ARGV[1]), 'lease', now + ARGV[3])
redis.call('ZADD', P .. 'leases', now + ARGV[3], ARGV[1])
return stands
