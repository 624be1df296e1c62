-- ARGV: nonce, ms after which an unclaimed message counts as lost, jobs that a tenant without limits of its own may
-- have running (0: no limit), then for each queue, in the order to serve: its name, window, broker's list, most that
-- may be out (sent or running; '': the window decides) and the queues that this counts, with commas.
-- Returns {queue, id, …}: the messages to send now.
local said = redis.call('LRANGE', P .. 'op:' .. ARGV[1], 0, -1)
if #said > 0 then return said end
local out, paused, tenants = {}, {}, {}
for _, name in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[name] = true end

local function send(queue, id)
  redis.call('ZADD', P .. 'sent:' .. queue, now, id)
  table.insert(out, queue)
  table.insert(out, id)
end

-- How many jobs a tenant may still be given, and how far a turn of its takes it.
local function of(tenant)
  if not tenants[tenant] then
    local own = redis.call('HMGET', P .. 'quota:' .. tenant, 'running', 'share')
    local most, left = tonumber(own[1] or ARGV[3]), math.huge
    if most > 0 then
      left = most - redis.call('SCARD', P .. 'busy:' .. tenant) - redis.call('SCARD', P .. 'handed:' .. tenant)
    end
    if paused['tenant:' .. tenant] then left = 0 end
    tenants[tenant] = {left = left, step = 1 / tonumber(own[2] or '1')}
  end
  return tenants[tenant]
end

local function room_of(queue, window, most, counted)
  local room = window - redis.call('ZCARD', P .. 'sent:' .. queue)
  if most == '' then return room end
  local taken = 0
  for other in string.gmatch(counted, '[^,]+') do
    taken = taken + redis.call('ZCARD', P .. 'sent:' .. other) + redis.call('ZCARD', P .. 'running:' .. other)
  end
  return math.min(room, tonumber(most) - taken)
end

local function serve(queue, room)
  local turns = P .. 'turns:' .. queue
  -- Tenants that may have no more stay first in turn, so the next one is behind as many as were passed over.
  local passed, present = {}, nil
  while room > 0 and #out < 2000 do
    local head = redis.call('ZRANGE', turns, #passed, #passed, 'WITHSCORES')
    if not head[1] then break end
    local tenant, turn = head[1], tonumber(head[2])
    local may = of(tenant)
    if may.left <= 0 then
      table.insert(passed, {tenant, turn})
    else
      local line = P .. 'waiting:' .. queue .. ':' .. tenant
      local id = redis.call('ZPOPMIN', line)[1]
      if id then
        present = turn
        redis.call('ZADD', turns, turn + may.step, tenant)
        redis.call('SADD', P .. 'handed:' .. tenant, id)
        send(queue, id)
        room, may.left = room - 1, may.left - 1
      end
      if redis.call('EXISTS', line) == 0 then
        redis.call('ZREM', turns, tenant)
        redis.call('ZREMRANGEBYSCORE', P .. 'rested:' .. queue, '-inf', turn)
        if id then redis.call('ZADD', P .. 'rested:' .. queue, turn + may.step, tenant) end
      end
    end
  end
  if present then
    redis.call('SET', P .. 'turn:' .. queue, present)
    -- They are owed nothing for the time they were held back.
    for _, one in ipairs(passed) do
      if one[2] < present then redis.call('ZADD', turns, present, one[1]) end
    end
  end
end

for i = 4, #ARGV, 5 do
  local queue, sent = ARGV[i], P .. 'sent:' .. ARGV[i]
  if not paused[queue] then
    -- What lies in the broker's list is waiting, not lost; only as many as are missing there are sent again.
    local missing = redis.call('ZCARD', sent) - redis.call('LLEN', ARGV[i + 2])
    if missing > 0 then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', sent, '-inf', now - ARGV[2], 'LIMIT', 0, math.min(missing, 500))) do
        send(queue, id)
      end
    end
    serve(queue, room_of(queue, tonumber(ARGV[i + 1]), ARGV[i + 3], ARGV[i + 4]))
  end
end
if #out > 0 then
  redis.call('RPUSH', P .. 'op:' .. ARGV[1], unpack(out))
  redis.call('EXPIRE', P .. 'op:' .. ARGV[1], 30)
end
return out
