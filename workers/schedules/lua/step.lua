-- Changes a firing from what was read; what somebody else changed meanwhile is left. ARGV: tenant, name, key, the JSON
-- that was read, the new one, when to look again ('' when it has ended), history.
local tenant, name, key, seen, json, look, keep = unpack(ARGV)
local member = tenant .. ':' .. name
local firings = P .. 'firings:' .. member
if redis.call('HGET', firings, key) ~= seen then return 0 end
redis.call('HSET', firings, key, json)
if look == '' then
  redis.call('ZREM', P .. 'open', member .. ':' .. key)
  trim(member, tonumber(keep))
else
  redis.call('ZADD', P .. 'open', look, member .. ':' .. key)
end
return 1
