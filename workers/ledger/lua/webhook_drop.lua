-- ARGV: id, tenant. Forgets a delivery. Returns 1 when it was there, also to a repeat.
go_on_when_full()
if redis.call('HGET', delivery_key(ARGV[1]), 'tenant') ~= ARGV[2] then
  return redis.call('GET', P .. 'webhook:dropped:' .. ARGV[1]) == ARGV[2] and 1 or 0
end
drop_delivery(ARGV[1])
return 1
