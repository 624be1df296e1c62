-- Writes a schedule: a new one (expected revision 0), or a change of the one that was read. A repeat of the same call
-- is told the same. ARGV: tenant, name, expected revision, nonce, most schedules of a tenant, next ('' for none),
-- then fields and values.
local tenant, name, expected, nonce, most, due = unpack(ARGV, 1, 6)
local key, member = P .. 'record:' .. tenant .. ':' .. name, tenant .. ':' .. name
local at = redis.call('HMGET', key, 'revision', 'nonce')
if at[2] == nonce then return 'ok' end
if (at[1] or '0') ~= expected then
  if not at[1] then return 'gone' end
  return expected == '0' and 'exists' or 'stale'
end
local names = P .. 'names:' .. tenant
if expected == '0' and redis.call('SCARD', names) >= tonumber(most) then return 'many' end
redis.call('HSET', key, 'nonce', nonce, 'revision', expected + 1, 'next', due, unpack(ARGV, 7))
redis.call('SADD', names, name)
if due == '' then redis.call('ZREM', P .. 'due', member) else redis.call('ZADD', P .. 'due', due, member) end
return 'ok'
