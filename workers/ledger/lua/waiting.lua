-- ARGV: id, tenant, jobs that a tenant without limits of its own may have running (0: no limit).
-- Returns nothing, or a JSON object: what is known of why a job waits. Times are ms.
local id, at = ARGV[1], job(ARGV[1])
if not at or at.tenant ~= ARGV[2] then return false end
local tenant, queue = at.tenant, at.queue
local ahead, oldest = 0, now
local sent, turns = P .. 'sent:' .. queue, P .. 'turns:' .. queue

local function step_of(other)
  return 1 / tonumber(redis.call('HGET', P .. 'quota:' .. other, 'share') or '1')
end

local first = redis.call('ZRANGE', sent, 0, 0)[1]
local known = first and job(first)
if known then oldest = tonumber(known.again or known.submitted) end
local place = redis.call('ZRANK', sent, id)
local rank = redis.call('ZRANK', P .. 'waiting:' .. queue .. ':' .. tenant, id)
-- The turn in which it will be sent, were no more jobs to come.
local mine = rank and tonumber(redis.call('ZSCORE', turns, tenant) or '0') + rank * step_of(tenant)
if rank then ahead = redis.call('ZCARD', sent) + rank end
if place then ahead = place end
local all = redis.call('ZRANGE', turns, 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local other, turn = all[i], tonumber(all[i + 1])
  local line = P .. 'waiting:' .. queue .. ':' .. other
  oldest = math.min(oldest, tonumber(redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2] or now))
  if rank and other ~= tenant and turn <= mine and redis.call('SISMEMBER', P .. 'paused', 'tenant:' .. other) == 0 then
    local turns_before = (mine - turn) / step_of(other)
    local whole = math.floor(turns_before)
    -- Of equal turns the name decides.
    if turns_before > whole or other < tenant then whole = whole + 1 end
    ahead = ahead + math.min(redis.call('ZCARD', line), whole)
  end
end
local held = redis.call('SMISMEMBER', P .. 'paused', queue, 'tenant:' .. tenant)
local most = tonumber(redis.call('HGET', P .. 'quota:' .. tenant, 'running') or ARGV[3])
local out = redis.call('SCARD', P .. 'busy:' .. tenant) + redis.call('SCARD', P .. 'handed:' .. tenant)
local pace = redis.call('HGET', P .. 'pace', queue)
return cjson.encode({
  state = at.state, queue = queue, attempt = tonumber(at.attempt), ahead = ahead, oldest = now - oldest,
  model = redis.call('HGET', job_key(id), 'model') or '', version = tonumber(at.version or 1),
  ['until'] = at.available and tonumber(at.available) - now or 0,
  paused = (held[1] == 1 and queue) or (held[2] == 1 and 'tenant:' .. tenant) or '',
  rank = rank or 0, quota = rank and most > 0 and out >= most and most or 0,
  suspect = at.suspect == '1', pace = pace and tonumber(pace) or nil,
  reserved = at.reserved and tonumber(at.reserved_until) > now and at.reserved or ''
})
