-- Writes down a new key. ARGV: id, hash, ms until it expires or '', then field, value, … Returns 1, or 0 when there is
-- such an id with another hash. Done twice it writes the same.
local id = ARGV[1]
local key = P .. 'key:' .. id
local had = redis.call('HGET', key, 'hash')
if had and had ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'hash', ARGV[2], 'created', now, unpack(ARGV, 4))
if ARGV[3] ~= '' then redis.call('HSET', key, 'expires', now + ARGV[3]) end
redis.call('ZADD', P .. 'key:all', now, id)
return 1
