-- ARGV: id, tenant, queue, idempotency key or '', fingerprint, then durations in ms (delay, expires or '',
-- deadline or ''), jobs that a tenant without limits of its own may have waiting (0: no limit), then field, value, …
-- of the record. Returns {made, id, state and times}, {same|conflict, id}, {quota, jobs waiting, limit},
-- {used, quota, limit, ms until it is new} or {jobs|tokens, jobs there are, limit, ms until there may be room}.
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
local most = tonumber(redis.call('HGET', P .. 'quota:' .. tenant, 'queued') or ARGV[9])
if most > 0 then
  local have = queued_of(tenant)
  if have >= most then return {'quota', have, most} end
end
local used, of, anew = used_up(tenant)
if used then return {'used', used, of, anew} end
local by, origin
for i = 10, #ARGV, 2 do
  if ARGV[i] == 'key' then by = ARGV[i + 1] elseif ARGV[i] == 'origin' then origin = ARGV[i + 1] end
end
-- What a batch or a schedule submits is held back by its own windows; its key has not asked for it just now.
if by and not origin then
  local what, have, may, wait = key_full(by)
  if what then return {what, have, may, wait} end
end
local at = {
  state = 'queued', tenant = tenant, queue = queue, submitted = now, attempt = 0, tries = 0, offset = 0,
  expires = ARGV[7] ~= '' and now + ARGV[7] or nil, deadline = ARGV[8] ~= '' and now + ARGV[8] or nil
}
redis.call('HSET', key, 'id', id, 'tenant', tenant, 'queue', queue, 'print', print, 'submitted', now, 'state', 'queued',
  'attempt', 0, 'tries', 0, 'offset', 0, 'bytes', 0, unpack(ARGV, 10))
seen_jobs[id] = at
if idem ~= '' then
  set(id, 'idem', idem_key)
  redis.call('SET', idem_key, id .. ' ' .. print)
end
if at.expires then set(id, 'expires', at.expires) end
if at.deadline then set(id, 'deadline', at.deadline) end
if by and not origin then redis.call('SADD', P .. 'key:jobs:' .. by, id) end
redis.call('ZADD', P .. 'jobs:' .. tenant, now, id)
redis.call('SADD', P .. 'tenants', tenant)
if tonumber(ARGV[6]) > 0 then
  put_aside(id, now + ARGV[6])
  tell(id, 'state', 's', 'delayed')
else
  line_up(id)
  watch_limits(id)
  tell(id, 'state', 's', 'queued')
  if not hand_out(queue) then redis.call('PUBLISH', P .. 'signals', 'dispatch') end
end
return {'made', id, at.state, at.submitted, at.available or '', at.expires or '', at.deadline or ''}
