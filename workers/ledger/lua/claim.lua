-- ARGV: id, owner (random, so that a repeat is known), worker, lease in ms, newest record version understood.
-- Returns {ok, token, record, checkpoints} or {why not}.
go_on_when_full()
local id, owner = ARGV[1], ARGV[2]
local key = job_key(id)
local at = redis.call('HMGET', key, 'state', 'token', 'attempt', 'offset', 'version')
if not at[1] then return {'gone'} end
if tonumber(at[5] or '0') > tonumber(ARGV[5]) then return {'newer'} end
local number = tonumber(at[3])
if at[1] == 'running' and at[2] == number .. ':' .. owner then
  return {'ok', at[2], redis.call('HGETALL', key), redis.call('HGETALL', P .. 'checkpoints:' .. id)}
end
if at[1] ~= 'queued' then return {at[1]} end
if overdue(id) then
  finish(id, 'expired')
  return {'expired'}
end
number = number + 1
local token = number .. ':' .. owner
leave(id)
redis.call('HSET', key, 'state', 'running', 'attempt', number, 'token', token, 'lease', now + ARGV[4],
  'try:' .. number .. ':worker', ARGV[3], 'try:' .. number .. ':started', now)
redis.call('HINCRBY', key, 'tries', 1)
redis.call('HSETNX', key, 'started', now)
redis.call('HDEL', key, 'progress')
redis.call('ZADD', P .. 'leases', now + ARGV[4], id)
if tonumber(at[4]) > 0 then
  redis.call('HSET', key, 'offset', 0)
  redis.call('DEL', P .. 'text:' .. id)
  emit(id, 'restarted')
end
emit(id, 'state', 's', 'running')
return {'ok', token, redis.call('HGETALL', key), redis.call('HGETALL', P .. 'checkpoints:' .. id)}
