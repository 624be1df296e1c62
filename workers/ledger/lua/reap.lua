-- ARGV: Redis' run id, lease in ms, most to do of each kind, the error of a lost worker as JSON, that of a poisonous
-- job, deaths that make a suspect, ms a dead letter is kept.
-- Returns {due, expired, {id, new state, …} of the lost, swept}.
-- After a restart of Redis, or when its clock jumped, nobody is reaped for one lease: holders could not renew.
go_on_when_full()
local lease = tonumber(ARGV[2])
local last = tonumber(redis.call('GET', P .. 'clock') or now)
-- Far from the last round, Redis' clock was put on or its machine stood still: every lease is over, but nobody died.
local pause = redis.call('GET', P .. 'boot') ~= ARGV[1] or now < last or now - last > math.max(60000, 2 * lease)
if now < last then
  -- The clock was set back. Nothing that is looked at by the second may last until the old time comes round again.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '(' .. now + lease, '+inf')) do
    redis.call('ZADD', P .. 'leases', now + lease, id)
    if job(id) then set(id, 'lease', now + lease) end
  end
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. 'seen', '(' .. now, '+inf')) do
    redis.call('ZADD', P .. 'seen', now, worker)
  end
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'sent:' .. queue, '(' .. now, '+inf')) do
      redis.call('ZADD', P .. 'sent:' .. queue, now, id)
    end
  end
  -- A process would else count as younger than the attempts it begins from now on.
  redis.call('DEL', P .. 'counted', P .. 'born')
end
redis.call('SET', P .. 'clock', now)
if pause then
  redis.call('SET', P .. 'boot', ARGV[1])
  redis.call('SET', P .. 'pause', 1, 'PX', lease)
end
local due, expired, swept, lost = 0, 0, 0, {}

-- Whether the worker of a lost lease died: its heartbeats stopped when the renewals did, or its name is another
-- process's by now. One that still says it lives has a job that hangs, or could not reach Redis for a while.
local function died(worker, began, renewed)
  local seen = redis.call('ZSCORE', P .. 'seen', worker)
  if not seen then return true end
  local born = redis.call('HGET', P .. 'born', worker)
  return (born and tonumber(born) > began) or tonumber(seen) < renewed + ARGV[2] / 2
end

local function lose(id, at)
  local try = 'try:' .. at.attempt .. ':'
  local by = redis.call('HMGET', job_key(id), try .. 'worker', try .. 'started', try .. 'alone')
  local death = died(by[1], tonumber(by[2]), at.lease - ARGV[2])
  -- When the worker beside it died as well (the machine did, perhaps), that is no proof, unless it goes on like that.
  local beside = death and by[3] and parent(by[1])
  local both = beside and died(beside, tonumber(by[2]), at.lease - ARGV[2])
  local poison = death and by[3] and (not both or tonumber(at.deaths or '0') > ARGV[6] + 2)
  close_attempt(id, 'lost', ARGV[4])
  if death then
    local deaths = tonumber(at.deaths or '0') + 1
    set(id, 'deaths', deaths, try .. 'death', 1)
    count('deaths', 1)
    if deaths >= tonumber(ARGV[6]) then set(id, 'suspect', 1) end
    -- A worker's death is rarely the job's fault. What may run once only has used that up all the same.
    if tonumber(at.max_attempts) > 1 then set(id, 'tries', tonumber(at.tries) - 1) end
  end
  if at.cancel == '1' then
    finish(id, 'cancelled')
  elseif at.deadline and now >= tonumber(at.deadline) then
    finish(id, 'expired')
  elseif poison or tonumber(at.tries) >= tonumber(at.max_attempts) then
    set(id, 'error', poison and ARGV[5] or ARGV[4])
    finish(id, 'dead', ARGV[7])
  else
    again(id, 0)
  end
  table.insert(lost, id)
  table.insert(lost, at.state)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local at = job(id)
  if at and at.state == 'delayed' then
    leave(id)
    enqueue(id)
    tell(id, 'state', 's', 'queued')
    due = due + 1
  else
    redis.call('ZREM', P .. 'delayed', id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'limits', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', P .. 'limits', id)
  local at = job(id)
  if at and (at.state == 'queued' or at.state == 'delayed') and overdue(id) then
    finish(id, 'expired')
    expired = expired + 1
  end
end
if redis.call('EXISTS', P .. 'pause') == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', '(' .. now, 'LIMIT', 0, ARGV[3])) do
    local at = job(id)
    if at and at.state == 'running' then lose(id, at) end
    redis.call('ZREM', P .. 'leases', id)
  end
end
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', P .. 'finished', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local cut = string.find(entry, ' ', 1, true)
  local tenant, id = string.sub(entry, 1, cut - 1), string.sub(entry, cut + 1)
  redis.call('ZREM', P .. 'finished', entry)
  redis.call('ZREM', P .. 'jobs:' .. tenant, id)
  redis.call('ZREM', P .. 'dead:' .. tenant, id)
  redis.call('ZREM', P .. 'dead', entry)
  if redis.call('EXISTS', P .. 'jobs:' .. tenant, P .. 'quota:' .. tenant) == 0 then
    redis.call('SREM', P .. 'tenants', tenant)
  end
  swept = swept + 1
end
-- Once a minute: what counts jobs is compared with the jobs. A worker of an earlier version, which knows nothing of
-- these counts, may have taken or ended some of them. There are no more than slots and windows.
if not redis.call('GET', P .. 'counted') then
  redis.call('SET', P .. 'counted', 1, 'PX', 60000)
  redis.call('XTRIM', P .. 'outbox', 'MINID', '~', math.max(0, now - 259200000))
  for _, tenant in ipairs(redis.call('SMEMBERS', P .. 'tenants')) do
    for kind, state in pairs({handed = 'queued', busy = 'running', later = 'delayed'}) do
      local key = P .. kind .. ':' .. tenant
      for _, id in ipairs(redis.call('SRANDMEMBER', key, 1000)) do
        if not job(id) or job(id).state ~= state then redis.call('SREM', key, id) end
      end
    end
  end
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do
    for kind, state in pairs({sent = 'queued', running = 'running'}) do
      local key = P .. kind .. ':' .. queue
      for _, id in ipairs(redis.call('ZRANGE', key, 0, 999)) do
        if not job(id) or job(id).state ~= state then redis.call('ZREM', key, id) end
      end
    end
  end
end
return {due, expired, lost, swept}
