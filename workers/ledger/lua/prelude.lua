-- Put before every script. KEYS[1] is the key prefix with its colon; all other keys are made from it here.
-- Times are milliseconds of Redis' own clock. A queue is written capability.lane.
local P = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A Redis at its memory limit refuses a script's first write, but not those after one that frees. What was accepted
-- must be able to end (that makes room), so every script but the one that accepts begins with this.
local function go_on_when_full() redis.call('DEL', P .. 'nothing') end

local function job_key(id) return P .. 'job:' .. id end

-- Adds an event and keeps the stream near its bound in bytes: over it, the older half goes.
local function emit(id, kind, ...)
  local key, stream = job_key(id), P .. 'events:' .. id
  local at = redis.call('HMGET', key, 'attempt', 'offset', 'bound')
  local size = 64
  for _, value in ipairs({...}) do size = size + #tostring(value) end
  redis.call('XADD', stream, '*', 't', kind, 'a', at[1] or 0, 'o', at[2] or 0, ...)
  local bytes = redis.call('HINCRBY', key, 'bytes', size)
  if at[3] and bytes > tonumber(at[3]) then
    local kept = math.ceil(redis.call('XLEN', stream) / 2)
    redis.call('XTRIM', stream, 'MAXLEN', kept)
    redis.call('HSET', key, 'bytes', math.floor(bytes / 2), 'trimmed', 1)
  end
end

-- Takes a job out of every place where jobs wait or run.
local function leave(id)
  local at = redis.call('HMGET', job_key(id), 'queue', 'tenant')
  redis.call('ZREM', P .. 'waiting:' .. at[1] .. ':' .. at[2], id)
  redis.call('ZREM', P .. 'sent:' .. at[1], id)
  redis.call('ZREM', P .. 'delayed', id)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('ZREM', P .. 'limits', id)
end

-- When a waiting job must be looked at because it may have expired.
local function watch_limits(id)
  local at = redis.call('HMGET', job_key(id), 'expires', 'deadline', 'started')
  local limit = tonumber(at[2] or '')
  local expires = tonumber(at[1] or '')
  if expires and not at[3] and (not limit or expires < limit) then limit = expires end
  if limit then redis.call('ZADD', P .. 'limits', limit, id) end
end

-- Whether a waiting job's time is over.
local function overdue(id)
  local at = redis.call('HMGET', job_key(id), 'expires', 'deadline', 'started')
  local deadline, expires = tonumber(at[2] or ''), tonumber(at[1] or '')
  return (deadline and now >= deadline) or (expires and not at[3] and now >= expires)
end

-- Puts a job into its tenant's line. A tenant that comes (back) starts at the present turn: it owes nothing for
-- the time it had no jobs, and it can't jump the others by emptying its line again and again.
local function enqueue(id)
  local key = job_key(id)
  local at = redis.call('HMGET', key, 'queue', 'tenant', 'submitted')
  local queue, tenant = at[1], at[2]
  redis.call('HSET', key, 'state', 'queued')
  redis.call('HDEL', key, 'available')
  redis.call('ZADD', P .. 'waiting:' .. queue .. ':' .. tenant, at[3], id)
  if not redis.call('ZSCORE', P .. 'turns:' .. queue, tenant) then
    local turn = tonumber(redis.call('GET', P .. 'turn:' .. queue) or '0')
    local had = tonumber(redis.call('ZSCORE', P .. 'rested:' .. queue, tenant) or '0')
    redis.call('ZADD', P .. 'turns:' .. queue, math.max(turn, had), tenant)
    redis.call('ZREM', P .. 'rested:' .. queue, tenant)
  end
  redis.call('SADD', P .. 'queues', queue)
  watch_limits(id)
  redis.call('PUBLISH', P .. 'signals', 'dispatch')
end

-- Puts a job aside until an instant.
local function put_aside(id, instant)
  redis.call('HSET', job_key(id), 'state', 'delayed', 'available', instant)
  redis.call('ZADD', P .. 'delayed', instant, id)
  watch_limits(id)
end

-- Ends a job for good. What is left of it goes after the time its submitter was promised.
local function finish(id, state)
  local key = job_key(id)
  leave(id)
  redis.call('HSET', key, 'state', state, 'finished', now)
  redis.call('HDEL', key, 'token', 'lease', 'available')
  emit(id, 'end', 's', state)
  local at = redis.call('HMGET', key, 'ttl', 'idem', 'tenant')
  redis.call('DEL', P .. 'checkpoints:' .. id, P .. 'tokens:' .. id)
  redis.call('PEXPIRE', key, at[1])
  redis.call('PEXPIRE', P .. 'events:' .. id, at[1])
  redis.call('PEXPIRE', P .. 'text:' .. id, at[1])
  if at[2] then redis.call('PEXPIRE', at[2], at[1]) end
  redis.call('ZADD', P .. 'finished', now + at[1], at[3] .. ' ' .. id)
end

-- Writes down how an attempt ended.
local function close_attempt(id, outcome, problem)
  local key = job_key(id)
  local at = 'try:' .. redis.call('HGET', key, 'attempt') .. ':'
  redis.call('HSET', key, at .. 'ended', now, at .. 'outcome', outcome)
  if problem and problem ~= '' then redis.call('HSET', key, at .. 'error', problem) end
end

-- Back to the line (or aside, when there is a delay), with an event that says so.
local function again(id, delay)
  leave(id)
  redis.call('HDEL', job_key(id), 'token', 'lease')
  if delay > 0 then
    put_aside(id, now + delay)
    emit(id, 'state', 's', 'delayed')
  else
    enqueue(id)
    emit(id, 'state', 's', 'queued')
  end
end

-- 'lost' unless the token still holds the job; else what its holder must know: '', 'cancelled' or 'expired'.
local function standing(id, token, strict)
  local at = redis.call('HMGET', job_key(id), 'state', 'token', 'lease', 'cancel', 'deadline')
  if at[1] ~= 'running' or at[2] ~= token then return 'lost' end
  if strict and tonumber(at[3]) < now then return 'lost' end
  if at[4] == '1' then return 'cancelled' end
  if at[5] and now >= tonumber(at[5]) then return 'expired' end
  return ''
end
