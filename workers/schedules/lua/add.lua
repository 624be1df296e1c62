-- Adds a firing that nobody's clock made. ARGV: tenant, name, uid, history, now, key, JSON.
local tenant, name, uid, keep, now, key, json = unpack(ARGV)
local member = tenant .. ':' .. name
if redis.call('HGET', P .. 'record:' .. member, 'uid') ~= uid then return 0 end
add(member, key, now, json, now)
trim(member, tonumber(keep))
return 1
