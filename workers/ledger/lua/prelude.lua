-- Put before every script. KEYS[1] is the key prefix with its colon; all other keys are made from it here.
-- Times are milliseconds of Redis' own clock. A queue is written capability.lane.
local P = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A Redis at its memory limit refuses a script's first write, but not those after one that frees. What was accepted
-- must be able to end (that makes room), so every script but the one that accepts begins with this.
local function go_on_when_full() redis.call('DEL', P .. 'nothing') end

local function job_key(id) return P .. 'job:' .. id end

local FIELDS = {
  'state', 'tenant', 'queue', 'submitted', 'again', 'attempt', 'tries', 'max_attempts', 'token', 'lease', 'offset',
  'cancel', 'expires', 'deadline', 'started', 'available', 'ttl', 'idem', 'version', 'print', 'deaths', 'suspect',
  'reserved', 'reserved_until', 'nonce', 'reply'
}
local seen_jobs = {}

-- The fields above of a job, read once for each script; nothing when there is no such job. Who changes one of them
-- and goes on in the same script does it with `set` and `unset`.
local function job(id)
  if seen_jobs[id] == nil then
    local values = redis.call('HMGET', job_key(id), unpack(FIELDS))
    local found = {}
    for i, name in ipairs(FIELDS) do found[name] = values[i] or nil end
    seen_jobs[id] = found.state and found
  end
  return seen_jobs[id] or nil
end

local function set(id, ...)
  redis.call('HSET', job_key(id), ...)
  local at, given = seen_jobs[id], {...}
  for i = 1, at and #given or 0, 2 do at[given[i]] = given[i + 1] end
end

local function unset(id, ...)
  redis.call('HDEL', job_key(id), ...)
  for _, name in ipairs(seen_jobs[id] and {...} or {}) do seen_jobs[id][name] = nil end
end

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

-- Adds an event that carries no text: there are a few in an attempt, so they don't count against the bound.
local function tell(id, kind, ...)
  local at = job(id)
  redis.call('XADD', P .. 'events:' .. id, '*', 't', kind, 'a', at.attempt, 'o', at.offset, ...)
end

-- Takes a job out of every place where jobs wait or run. Where it is follows from its state.
local function leave(id)
  local at = job(id)
  if at.state == 'running' then
    redis.call('ZREM', P .. 'leases', id)
    redis.call('ZREM', P .. 'running:' .. at.queue, id)
    redis.call('SREM', P .. 'busy:' .. at.tenant, id)
  elseif at.state == 'delayed' then
    redis.call('ZREM', P .. 'delayed', id)
    redis.call('SREM', P .. 'later:' .. at.tenant, id)
  elseif redis.call('ZREM', P .. 'sent:' .. at.queue, id) == 1 then
    redis.call('SREM', P .. 'handed:' .. at.tenant, id)
  else
    redis.call('ZREM', P .. 'waiting:' .. at.queue .. ':' .. at.tenant, id)
  end
  if at.expires or at.deadline then redis.call('ZREM', P .. 'limits', id) end
end

-- When a waiting job must be looked at because it may have expired.
local function watch_limits(id)
  local at = job(id)
  local limit = tonumber(at.deadline or '')
  local expires = tonumber(at.expires or '')
  if expires and not at.started and (not limit or expires < limit) then limit = expires end
  if limit then redis.call('ZADD', P .. 'limits', limit, id) end
end

-- Whether a waiting job's time is over.
local function overdue(id)
  local at = job(id)
  local deadline, expires = tonumber(at.deadline or ''), tonumber(at.expires or '')
  return (deadline and now >= deadline) or (expires and not at.started and now >= expires)
end

-- Puts a queued job into its tenant's line. A tenant that comes (back) starts at the present turn: it owes nothing
-- for the time it had no jobs, and it can't jump the others by emptying its line again and again.
local function line_up(id)
  local at = job(id)
  local queue, tenant = at.queue, at.tenant
  redis.call('ZADD', P .. 'waiting:' .. queue .. ':' .. tenant, at.again or at.submitted, id)
  if not redis.call('ZSCORE', P .. 'turns:' .. queue, tenant) then
    local turn = tonumber(redis.call('GET', P .. 'turn:' .. queue) or '0')
    local had = tonumber(redis.call('ZSCORE', P .. 'rested:' .. queue, tenant) or '0')
    redis.call('ZADD', P .. 'turns:' .. queue, math.max(turn, had), tenant)
    redis.call('ZREM', P .. 'rested:' .. queue, tenant)
    redis.call('SADD', P .. 'queues', queue)
  end
end

-- Into the line, as queued.
local function enqueue(id)
  set(id, 'state', 'queued')
  if job(id).available then unset(id, 'available') end
  line_up(id)
  watch_limits(id)
  redis.call('PUBLISH', P .. 'signals', 'dispatch')
end

-- Puts a job aside until an instant.
local function put_aside(id, instant)
  set(id, 'state', 'delayed', 'available', instant)
  redis.call('ZADD', P .. 'delayed', instant, id)
  redis.call('SADD', P .. 'later:' .. job(id).tenant, id)
  watch_limits(id)
end

-- What is left in a bucket that holds `most` and fills itself within a minute (as in workers/access/lua/prelude.lua).
local function bucket_left(bucket, field, most)
  local at = redis.call('HMGET', bucket, field, field .. ':at')
  if not at[1] then return most end
  return math.min(most, tonumber(at[1]) + math.max(0, now - tonumber(at[2])) * most / 60000)
end

-- How long the attempts of a job ran, in ms, since it was submitted or replayed.
local function time_spent(id)
  local at, sum, names = job(id), 0, {}
  for number = math.max(1, at.attempt - 499), tonumber(at.attempt) do
    table.insert(names, 'try:' .. number .. ':started')
    table.insert(names, 'try:' .. number .. ':ended')
  end
  if #names == 0 then return 0 end
  local times = redis.call('HMGET', job_key(id), unpack(names))
  for i = 1, #names, 2 do
    local began = tonumber(times[i] or '')
    if began and began >= tonumber(at.again or '0') then sum = sum + math.max(0, tonumber(times[i + 1] or now) - began) end
  end
  return sum
end

-- Tells those outside the ledger who wait for a job's end, in the same step as the end: workers/outbox.py reads it.
-- Written for jobs that somebody waits for only. Bounded in number here and in age by the reaper, so that readers who
-- are away for long don't fill Redis; they find in the records what they missed.
local function post(id, state, usage)
  local at, key = job(id), job_key(id)
  local about = redis.call('HMGET', key, 'webhook', 'origin', 'key', 'kind', 'model')
  if not (about[1] or about[2] or about[3]) and redis.call('SISMEMBER', P .. 'webhook:listening', at.tenant) == 0 then
    return
  end
  redis.call('XADD', P .. 'outbox', 'MAXLEN', '~', 100000, '*', 'id', id, 'tenant', at.tenant, 'state', state,
    'kind', about[4] or '', 'model', about[5] or '', 'webhook', about[1] or '', 'origin', about[2] or '',
    'key', about[3] or '', 'tokens', usage or '', 'spent', time_spent(id), 'at', now)
end

-- A model's name as a label. There are few: names that never got a job done, and those beyond the first of many, are
-- one, or whoever submits jobs could fill Redis with them.
local function label(model, known)
  if redis.call('SISMEMBER', P .. 'sight:models', model) == 1 then return model end
  if not known or redis.call('SCARD', P .. 'sight:models') >= 40 then return 'other' end
  redis.call('SADD', P .. 'sight:models', model)
  return model
end

-- Counts for `phiq stats` and /metrics: since ever, and by the hour for eight days.
local function count(what, amount)
  redis.call('HINCRBY', P .. 'sight:total', what, amount)
  local hour = P .. 'sight:hour:' .. math.floor(now / 3600000)
  if redis.call('HINCRBY', hour, what, amount) == tonumber(amount) then redis.call('PEXPIRE', hour, 691200000) end
end

-- Year, month and day of now, in UTC: Lua has no calendar inside Redis. (Days are counted from 1 March of year 0.)
local function date(instant)
  local days = math.floor(instant / 86400000) + 719468
  local era = math.floor(days / 146097)
  local of_era = days - era * 146097
  local leaps = math.floor(of_era / 1460) - math.floor(of_era / 36524) + math.floor(of_era / 146096)
  local year = math.floor((of_era - leaps) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local march = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * march + 2) / 5) + 1
  local month = march < 10 and march + 3 or march - 9
  return string.format('%04d-%02d', year + era * 400 + (month <= 2 and 1 or 0), month), string.format('%02d', day)
end

local QUOTAS = {'tokens_day', 'tokens_month', 'seconds_day', 'seconds_month'}

-- Counts what a job used, in the same step as its end, so that it is counted once: for its tenant and for its key, by
-- the day and month in which it ended. Only where somebody asks: jobs with a key, and tenants with such a quota.
local function account(id, usage)
  local at = job(id)
  local key = redis.call('HGET', job_key(id), 'key')
  if not key then
    local quotas, some = redis.call('HMGET', P .. 'quota:' .. at.tenant, unpack(QUOTAS)), false
    for _, most in ipairs(quotas) do some = some or most end
    if not some then return end
  end
  local prompt, completion = string.match(usage or '', '^(%d+) (%d+)$')
  prompt, completion = tonumber(prompt or '0'), tonumber(completion or '0')
  local spent = time_spent(id)
  local month, day = date(now)
  local places = {P .. 'usage:tenant:' .. at.tenant .. ':' .. month}
  if key then table.insert(places, P .. 'usage:key:' .. key .. ':' .. month) end
  for _, place in ipairs(places) do
    for what, amount in pairs({jobs = 1, prompt = prompt, completion = completion, ms = spent}) do
      redis.call('HINCRBY', place, what, amount)
      redis.call('HINCRBY', place, day .. ':' .. what, amount)
    end
    redis.call('PEXPIRE', place, 34560000000)
  end
  if not key then return end
  redis.call('SREM', P .. 'key:jobs:' .. key, id)
  local most = tonumber(redis.call('HGET', P .. 'key:' .. key, 'tokens') or '0')
  if most > 0 and prompt + completion > 0 then
    -- Nobody knows before what a job will use, so it is taken afterwards: the key waits until the debt is filled up.
    local have = math.max(-10 * most, bucket_left(P .. 'key:rate:' .. key, 'tokens', most) - prompt - completion)
    redis.call('HSET', P .. 'key:rate:' .. key, 'tokens', tostring(have), 'tokens:at', now)
    redis.call('PEXPIRE', P .. 'key:rate:' .. key, math.ceil((most - have) * 60000 / most) + 120000)
  end
end

-- Ends a job for good. What is left of it goes after the time its submitter was promised; a dead letter after `keep`.
-- `usage`: tokens of the prompt and of the completion, as two numbers with a space between; nothing when not known.
local function finish(id, state, keep, usage)
  local key, at = job_key(id), job(id)
  leave(id)
  set(id, 'state', state, 'finished', now)
  unset(id, 'token', 'lease', 'available', 'reserved', 'reserved_until')
  tell(id, 'end', 's', state)
  local ttl = tonumber(at.ttl)
  if state == 'dead' then
    ttl = tonumber(keep) or ttl
    redis.call('ZADD', P .. 'dead', now, at.tenant .. ' ' .. id)
    redis.call('ZADD', P .. 'dead:' .. at.tenant, now, id)
  end
  redis.call('DEL', P .. 'checkpoints:' .. id, P .. 'tokens:' .. id)
  redis.call('PEXPIRE', key, ttl)
  redis.call('PEXPIRE', P .. 'events:' .. id, ttl)
  redis.call('PEXPIRE', P .. 'text:' .. id, ttl)
  if at.idem then redis.call('PEXPIRE', at.idem, ttl) end
  redis.call('ZADD', P .. 'finished', now + ttl, at.tenant .. ' ' .. id)
  post(id, state, usage)
  local about = redis.call('HMGET', key, 'kind', 'model')
  local model = label(about[2] or 'other', state == 'succeeded')
  count('jobs ' .. (about[1] or 'other') .. ' ' .. state .. ' ' .. model, 1)
  account(id, usage)
end

-- Which quota of its day or month a tenant has used up, how much that is, and ms until it is new; nothing when none.
local function used_up(tenant)
  local own, some = redis.call('HMGET', P .. 'quota:' .. tenant, unpack(QUOTAS)), false
  for _, most in ipairs(own) do some = some or most end
  if not some then return nil end
  local month, day = date(now)
  local place = P .. 'usage:tenant:' .. tenant .. ':' .. month
  local have = redis.call('HMGET', place, 'prompt', 'completion', 'ms', day .. ':prompt', day .. ':completion', day .. ':ms')
  for i = 1, 6 do have[i] = tonumber(have[i] or '0') end
  local used = {have[4] + have[5], have[1] + have[2], have[6] / 1000, have[3] / 1000}
  for i, name in ipairs(QUOTAS) do
    local most = tonumber(own[i] or '')
    if most and used[i] >= most then
      local anew = (math.floor(now / 86400000) + 1) * 86400000
      while (i == 2 or i == 4) and date(anew) == month do anew = anew + 86400000 end
      return name, most, anew - now
    end
  end
  return nil
end

-- Which limit a key is at: 'jobs' or 'tokens', how many there are, how many may be, ms until there may be room.
local function key_full(key)
  local own = redis.call('HMGET', P .. 'key:' .. key, 'jobs', 'tokens')
  local jobs, tokens = tonumber(own[1] or '0'), tonumber(own[2] or '0')
  local mine = P .. 'key:jobs:' .. key
  if jobs > 0 and redis.call('SCARD', mine) >= jobs then
    -- Some may have ended unseen: by a worker of an earlier version, or while Redis was set back.
    for _, id in ipairs(redis.call('SRANDMEMBER', mine, 100)) do
      local state = redis.call('HGET', job_key(id), 'state')
      if state ~= 'queued' and state ~= 'running' and state ~= 'delayed' then redis.call('SREM', mine, id) end
    end
    local have = redis.call('SCARD', mine)
    if have >= jobs then return 'jobs', have, jobs, 2000 end
  end
  if tokens > 0 then
    local have = bucket_left(P .. 'key:rate:' .. key, 'tokens', tokens)
    if have <= 0 then return 'tokens', 0, tokens, math.ceil((1 - have) * 60000 / tokens) end
  end
  return nil
end

-- The worker beside which a process with a single suspect runs, by the name of that process; nil for workers.
local function parent(name) return string.match(name, '^(.+)/alone%-%d+$') end

-- Writes down how an attempt ended, and how long jobs of this queue run lately.
local function close_attempt(id, outcome, problem)
  local at = job(id)
  count('attempts ' .. outcome, 1)
  local try = 'try:' .. at.attempt .. ':'
  local began = redis.call('ZSCORE', P .. 'running:' .. at.queue, id)
  if problem and problem ~= '' then
    redis.call('HSET', job_key(id), try .. 'ended', now, try .. 'outcome', outcome, try .. 'error', problem)
  else
    redis.call('HSET', job_key(id), try .. 'ended', now, try .. 'outcome', outcome)
  end
  if began and outcome ~= 'lost' and outcome ~= 'released' then
    local took = math.max(0, now - began)
    local had = tonumber(redis.call('HGET', P .. 'pace', at.queue) or took)
    redis.call('HSET', P .. 'pace', at.queue, math.floor(had * 0.9 + took * 0.1 + 0.5))
  end
end

-- Back to the line (or aside, when there is a delay), with an event that says so.
local function again(id, delay)
  leave(id)
  unset(id, 'token', 'lease')
  if delay > 0 then
    put_aside(id, now + delay)
    tell(id, 'state', 's', 'delayed')
  else
    enqueue(id)
    tell(id, 'state', 's', 'queued')
  end
end

-- 'lost' unless the token still holds the job; else what its holder must know: '', 'cancelled' or 'expired'.
local function standing(id, token, strict)
  local at = job(id)
  if not at or at.state ~= 'running' or at.token ~= token then return 'lost' end
  if strict and tonumber(at.lease) < now then return 'lost' end
  if at.cancel == '1' then return 'cancelled' end
  if at.deadline and now >= tonumber(at.deadline) then return 'expired' end
  return ''
end

-- How many jobs of a tenant wait: in lines, handed to the broker, or put aside.
local function queued_of(tenant)
  local sum = redis.call('SCARD', P .. 'handed:' .. tenant) + redis.call('SCARD', P .. 'later:' .. tenant)
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
    sum = sum + redis.call('ZCARD', P .. 'waiting:' .. queue .. ':' .. tenant)
  end
  return sum
end
