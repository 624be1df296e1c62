-- ARGV: id, tenant. Forgets a delivery. Returns 1 when it was there.
go_on_when_full()
if redis.call('HGET', delivery_key(ARGV[1]), 'tenant') ~= ARGV[2] then return 0 end
drop_delivery(ARGV[1])
return 1
