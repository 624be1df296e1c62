-- ARGV: id, owner (random, so that a repeat is known), worker, lease in ms, newest record version understood.
-- Returns {ok, token, record, checkpoints, text streamed so far, log of token ids} or {why not}. Whether the text
-- still holds is for the attempt to find out: it goes on from it or says `restarted`.
go_on_when_full()
local id, owner = ARGV[1], ARGV[2]
local key = job_key(id)

local function held(number, token)
  local text, log = '', ''
  if number > 1 then
    text = redis.call('GET', P .. 'text:' .. id) or ''
    log = redis.call('GET', P .. 'tokens:' .. id) or ''
  end
  return {'ok', token, redis.call('HGETALL', key), redis.call('HGETALL', P .. 'checkpoints:' .. id), text, log}
end

local at = redis.call('HMGET', key, 'state', 'token', 'attempt', 'version')
if not at[1] then return {'gone'} end
if tonumber(at[4] or '0') > tonumber(ARGV[5]) then return {'newer'} end
local number = tonumber(at[3])
if at[1] == 'running' and at[2] == number .. ':' .. owner then return held(number, at[2]) end
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
emit(id, 'state', 's', 'running')
return held(number, token)
