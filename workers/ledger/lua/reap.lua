-- ARGV: Redis' run id, lease in ms, most to do of each kind, the error of a lost worker as JSON.
-- Returns {due, expired, {id, new state, …} of the lost, swept}.
-- After a restart of Redis nobody is reaped for one lease: holders could not renew while it was down.
go_on_when_full()
if redis.call('GET', P .. 'boot') ~= ARGV[1] then
  redis.call('SET', P .. 'boot', ARGV[1])
  redis.call('SET', P .. 'pause', 1, 'PX', ARGV[2])
end
local due, expired, swept, lost = 0, 0, 0, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', P .. 'delayed', id)
  if redis.call('HGET', job_key(id), 'state') == 'delayed' then
    enqueue(id)
    emit(id, 'state', 's', 'queued')
    due = due + 1
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'limits', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', P .. 'limits', id)
  local state = redis.call('HGET', job_key(id), 'state')
  if (state == 'queued' or state == 'delayed') and overdue(id) then
    finish(id, 'expired')
    expired = expired + 1
  end
end
if redis.call('EXISTS', P .. 'pause') == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', '(' .. now, 'LIMIT', 0, ARGV[3])) do
    redis.call('ZREM', P .. 'leases', id)
    local at = redis.call('HMGET', job_key(id), 'state', 'tries', 'max_attempts', 'cancel', 'deadline')
    if at[1] == 'running' then
      close_attempt(id, 'lost', ARGV[4])
      redis.call('HINCRBY', job_key(id), 'deaths', 1)
      if at[4] == '1' then
        finish(id, 'cancelled')
      elseif at[5] and now >= tonumber(at[5]) then
        finish(id, 'expired')
      elseif tonumber(at[2]) >= tonumber(at[3]) then
        redis.call('HSET', job_key(id), 'error', ARGV[4])
        finish(id, 'dead')
      else
        again(id, 0)
      end
      table.insert(lost, id)
      table.insert(lost, redis.call('HGET', job_key(id), 'state'))
    end
  end
end
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', P .. 'finished', '-inf', now, 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', P .. 'finished', entry)
  local cut = string.find(entry, ' ', 1, true)
  redis.call('ZREM', P .. 'jobs:' .. string.sub(entry, 1, cut - 1), string.sub(entry, cut + 1))
  swept = swept + 1
end
return {due, expired, lost, swept}
