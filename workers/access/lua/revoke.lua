-- Ends a key for good; its record stays, so that the audit log can be read. ARGV: id, tenant or '' for any.
-- Returns 1, or nothing when there is no such key. Gateways hear it at once, and look again within seconds anyway.
local key = P .. 'key:' .. ARGV[1]
local tenant = redis.call('HGET', key, 'tenant')
if not tenant or (ARGV[2] ~= '' and tenant ~= ARGV[2]) then return false end
go_on_when_full()
if not redis.call('HGET', key, 'revoked') then redis.call('HSET', key, 'revoked', now) end
redis.call('HDEL', key, 'old_hash', 'old_until')
return 1
