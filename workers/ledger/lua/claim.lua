-- ARGV: id, owner (random, so that a repeat is known), worker, lease in ms, newest record version understood, '1' when
-- no other job runs in that process, ms that a suspect is kept for a worker.
-- Returns {ok, token, record, checkpoints, text streamed so far, log of token ids} or {why not}; 'alone': the suspect
-- is kept for this worker to run alone. Whether the text still holds is for the attempt to find out: it goes on from it
-- or says `restarted`.
go_on_when_full()
local id, owner, worker = ARGV[1], ARGV[2], ARGV[3]
local key, at = job_key(id), job(id)

local function held(number, token)
  local text, log = '', ''
  if number > 1 then
    text = redis.call('GET', P .. 'text:' .. id) or ''
    log = redis.call('GET', P .. 'tokens:' .. id) or ''
  end
  return {'ok', token, redis.call('HGETALL', key), redis.call('HGETALL', P .. 'checkpoints:' .. id), text, log}
end

if not at then
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do redis.call('ZREM', P .. 'sent:' .. queue, id) end
  return {'gone'}
end
if tonumber(at.version or '0') > tonumber(ARGV[5]) then return {'newer'} end
local number = tonumber(at.attempt)
if at.state == 'running' and at.token == number .. ':' .. owner then return held(number, at.token) end
if at.state ~= 'queued' then return {at.state} end
if overdue(id) then
  finish(id, 'expired')
  return {'expired'}
end
local paused = redis.call('SMISMEMBER', P .. 'paused', at.queue, 'tenant:' .. at.tenant)
if paused[1] + paused[2] > 0 then
  leave(id)
  line_up(id)
  watch_limits(id)
  return {'paused'}
end
if at.suspect then
  local kept = at.reserved and at.reserved ~= worker and at.reserved ~= parent(worker)
  if kept and tonumber(at.reserved_until) > now then return {'reserved'} end
  if ARGV[6] ~= '1' then
    set(id, 'reserved', worker, 'reserved_until', now + ARGV[7])
    -- Nobody else can have it meanwhile, so no other message is sent for it.
    redis.call('ZADD', P .. 'sent:' .. at.queue, 'XX', now + ARGV[7], id)
    return {'alone', redis.call('HGET', key, 'model')}
  end
  unset(id, 'reserved', 'reserved_until')
end
leave(id)
number = number + 1
local token = number .. ':' .. owner
local try = 'try:' .. number .. ':'
set(id, 'state', 'running', 'attempt', number, 'token', token, 'lease', now + ARGV[4], 'tries', tonumber(at.tries) + 1,
  'started', at.started or now, try .. 'worker', worker, try .. 'started', now)
if ARGV[6] == '1' then redis.call('HSET', key, try .. 'alone', 1) end
if number > 1 then unset(id, 'progress') end
redis.call('ZADD', P .. 'leases', now + ARGV[4], id)
redis.call('ZADD', P .. 'running:' .. at.queue, now, id)
redis.call('SADD', P .. 'busy:' .. at.tenant, id)
tell(id, 'state', 's', 'running')
hand_out(at.queue)
return held(number, token)
