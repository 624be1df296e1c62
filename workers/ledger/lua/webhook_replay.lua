-- ARGV: id, tenant. Sends an ended delivery again, under its webhook-id. Returns nothing when there is none, or
-- whether it is under way now: '1', or '0' with the state it has.
go_on_when_full()
local id, key = ARGV[1], delivery_key(ARGV[1])
local at = redis.call('HMGET', key, 'tenant', 'endpoint', 'state')
if at[1] ~= ARGV[2] or not at[1] then return false end
if at[3] ~= 'dead' and at[3] ~= 'delivered' then return {at[3] == 'pending' and '1' or '0', at[3]} end
redis.call('HSET', key, 'since', now, 'tries', 0)
redis.call('HDEL', key, 'ended', 'settled', 'error', 'status')
redis.call('PERSIST', key)
redis.call('ZREM', P .. 'webhook:dead:' .. at[1], id)
line_up_delivery(id, at[1], at[2], now)
return {'1', 'pending'}
