-- ARGV: id, token, nonce, text or '', its length in characters, progress as JSON or ''. Returns the standing.
go_on_when_full()
local id, key = ARGV[1], job_key(ARGV[1])
local last = redis.call('HMGET', key, 'nonce', 'reply')
if last[1] == ARGV[3] then return last[2] end
local stands = standing(id, ARGV[2], true)
if stands == 'lost' then return stands end
if ARGV[4] ~= '' then
  emit(id, 'delta', 'x', ARGV[4])
  redis.call('APPEND', P .. 'text:' .. id, ARGV[4])
  redis.call('HINCRBY', key, 'offset', ARGV[5])
end
if ARGV[6] ~= '' then
  redis.call('HSET', key, 'progress', ARGV[6])
  emit(id, 'progress', 'p', ARGV[6])
end
redis.call('HSET', key, 'nonce', ARGV[3], 'reply', stands)
return stands
