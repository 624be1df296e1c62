-- Gives a key a new secret; the old one works for ARGV[3] ms more. ARGV: id, new hash, ms, tenant or '' for any.
-- Returns 1, 'revoked', or nothing when there is no such key. Done twice it changes nothing.
local key = P .. 'key:' .. ARGV[1]
local at = redis.call('HMGET', key, 'hash', 'revoked', 'tenant')
if not at[1] or (ARGV[4] ~= '' and at[3] ~= ARGV[4]) then return false end
if at[2] then return 'revoked' end
if at[1] == ARGV[2] then return 1 end
go_on_when_full()
redis.call('HSET', key, 'old_hash', at[1], 'old_until', now + ARGV[3], 'hash', ARGV[2], 'rotated', now)
local used = redis.call('HGET', key, 'used')
if used then redis.call('HSET', key, 'old_used', used) else redis.call('HDEL', key, 'old_used') end
redis.call('HDEL', key, 'used')
return 1
