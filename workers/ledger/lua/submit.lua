-- ARGV: id, tenant, queue, idempotency key or '', fingerprint, then durations in ms (delay, expires or '',
-- deadline or ''), then field, value, … of the record. Returns {made|same|conflict, id}.
-- The first write is one that Redis refuses when it is full, so a refused job leaves nothing behind.
local id, tenant, queue, idem, print = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = job_key(id)
local known = redis.call('HMGET', key, 'tenant', 'print')
if known[1] then
  if known[1] == tenant and known[2] == print then return {'same', id} end
  return {'conflict', id}
end
local idem_key = P .. 'idem:' .. tenant .. ':' .. idem
if idem ~= '' then
  local earlier = redis.call('GET', idem_key)
  if earlier then
    local other = string.sub(earlier, 1, 32)
    if string.sub(earlier, 34) == print then return {'same', other} end
    return {'conflict', other}
  end
end
redis.call('HSET', key, 'id', id, 'tenant', tenant, 'queue', queue, 'print', print, 'submitted', now,
  'attempt', 0, 'tries', 0, 'offset', 0, 'bytes', 0)
redis.call('HSET', key, unpack(ARGV, 9))
if idem ~= '' then
  redis.call('HSET', key, 'idem', idem_key)
  redis.call('SET', idem_key, id .. ' ' .. print)
end
if ARGV[7] ~= '' then redis.call('HSET', key, 'expires', now + ARGV[7]) end
if ARGV[8] ~= '' then redis.call('HSET', key, 'deadline', now + ARGV[8]) end
redis.call('ZADD', P .. 'jobs:' .. tenant, now, id)
if tonumber(ARGV[6]) > 0 then
  put_aside(id, now + ARGV[6])
  emit(id, 'state', 's', 'delayed')
else
  enqueue(id)
  emit(id, 'state', 's', 'queued')
end
return {'made', id}
