-- Deletes a schedule with its history. What its firings have started goes on. ARGV: tenant, name, and the uid, or ''.
local tenant, name, uid = unpack(ARGV)
local member = tenant .. ':' .. name
local key = P .. 'record:' .. member
if uid ~= '' and redis.call('HGET', key, 'uid') ~= uid then return 0 end
for _, one in ipairs(redis.call('HKEYS', P .. 'firings:' .. member)) do
  redis.call('ZREM', P .. 'open', member .. ':' .. one)
end
redis.call('ZREM', P .. 'due', member)
redis.call('SREM', P .. 'names:' .. tenant, name)
return redis.call('DEL', key, P .. 'firings:' .. member, P .. 'order:' .. member)
