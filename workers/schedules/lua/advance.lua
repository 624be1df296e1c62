-- Goes on to a schedule's next instant and writes down the firings that this makes, in one step: whoever comes second
-- finds another `next` and does nothing. ARGV: tenant, name, uid, the next that was read, the new one ('' for none),
-- history, now, then for each firing its key, its instant, its JSON and '1' when something is to be done about it.
local tenant, name, uid, seen, due, keep, now = unpack(ARGV, 1, 7)
local member = tenant .. ':' .. name
local at = redis.call('HMGET', P .. 'record:' .. member, 'uid', 'next')
if at[1] ~= uid or at[2] ~= seen then return 0 end
redis.call('HSET', P .. 'record:' .. member, 'next', due)
if due == '' then redis.call('ZREM', P .. 'due', member) else redis.call('ZADD', P .. 'due', due, member) end
for i = 8, #ARGV, 4 do add(member, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3] == '1' and now) end
trim(member, tonumber(keep))
return 1
