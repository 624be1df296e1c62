-- ARGV: id, tenant. Returns nothing, or {state, queue, attempt, ms until available, ahead, ms the oldest waited}.
local id = ARGV[1]
local at = redis.call('HMGET', job_key(id), 'tenant', 'state', 'queue', 'attempt', 'available')
if at[1] ~= ARGV[2] then return false end
local tenant, queue = at[1], at[3]
local ahead, oldest = 0, now
local sent = P .. 'sent:' .. queue
local function look(line)
  local first = redis.call('ZRANGE', line, 0, 0)[1]
  local since = first and tonumber(redis.call('HGET', job_key(first), 'submitted') or now) or now
  if since < oldest then oldest = since end
end
look(sent)
local place = redis.call('ZRANK', sent, id)
local rank = redis.call('ZRANK', P .. 'waiting:' .. queue .. ':' .. tenant, id)
if rank then ahead = redis.call('ZCARD', sent) + rank end
if place then ahead = place end
local before = true
for _, other in ipairs(redis.call('ZRANGE', P .. 'turns:' .. queue, 0, -1)) do
  local line = P .. 'waiting:' .. queue .. ':' .. other
  look(line)
  if other == tenant then
    before = false
  elseif rank then
    ahead = ahead + math.min(redis.call('ZCARD', line), before and rank + 1 or rank)
  end
end
return {at[2], queue, tonumber(at[4]), at[5] and tonumber(at[5]) - now or 0, ahead, now - oldest}
