-- Put before the scripts that hand jobs to the broker: as many as a window has room for, tenants in turn.
-- The broker is this same Redis. So a message is pushed in the step that decides on it, in the form that kombu's
-- transport reads, and a job that can start is on its way to a worker when its submitter has the answer.
local out, paused, tenants = {}, nil, {}

local MESSAGE = '{"body":"[[\\"%s\\"],{},{}]","content-encoding":"utf-8","content-type":"application/json",' ..
  '"headers":{"lang":"py","task":"phiq.run","id":"%s","root_id":"%s"},"properties":{"correlation_id":"%s",' ..
  '"delivery_mode":2,"delivery_info":{"exchange":"","routing_key":"phiq.%s"},"priority":0,"delivery_tag":"%s-%s"}}'

local function is_paused(name)
  if not paused then
    paused = {}
    for _, one in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[one] = true end
  end
  return paused[name]
end

-- Notes that a message for a job is under way; without the broker's list, the caller sends it.
local function send(queue, id, list)
  redis.call('ZADD', P .. 'sent:' .. queue, now, id)
  if list then
    redis.call('LPUSH', list, string.format(MESSAGE, id, id, id, id, queue, id, string.format('%.0f', now)))
  end
  table.insert(out, queue)
  table.insert(out, id)
end

-- How many jobs a tenant may still be given, and how far a turn of its takes it.
local function of(tenant, running)
  if not tenants[tenant] then
    local own = redis.call('HMGET', P .. 'quota:' .. tenant, 'running', 'share')
    local most, left = tonumber(own[1] or running), math.huge
    if most > 0 then
      left = most - redis.call('SCARD', P .. 'busy:' .. tenant) - redis.call('SCARD', P .. 'handed:' .. tenant)
    end
    if is_paused('tenant:' .. tenant) then left = 0 end
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

local function serve(queue, room, running, list, depth)
  local turns = P .. 'turns:' .. queue
  -- Tenants that may have no more stay first in turn, so the next one is behind as many as were passed over.
  local passed, present = {}, nil
  while room > 0 and #out < 2000 do
    local head = redis.call('ZRANGE', turns, #passed, #passed, 'WITHSCORES')
    if not head[1] then break end
    local tenant, turn = head[1], tonumber(head[2])
    local may = of(tenant, running)
    if may.left <= 0 then
      table.insert(passed, {tenant, turn})
      if #passed == depth then break end
    else
      local line = P .. 'waiting:' .. queue .. ':' .. tenant
      local id = redis.call('ZPOPMIN', line)[1]
      if id then
        present = turn
        redis.call('ZADD', turns, turn + may.step, tenant)
        redis.call('SADD', P .. 'handed:' .. tenant, id)
        send(queue, id, list)
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

-- What the workers' last look said of a queue: window, broker's list, most that may be out and whom that counts,
-- then what a tenant may have running. Nothing when nobody has looked lately, or they send messages themselves.
local function plan_of(queue)
  local plan = redis.call('HMGET', P .. 'plan', queue, 'running')
  if not plan[1] then return nil end
  local window, list, most, counted = string.match(plan[1], '^(%S+) (%S+) (%S*) (%S*)$')
  return {window = tonumber(window), list = list, most = most, counted = counted, running = plan[2]}
end

-- Hands out of one queue what there is room for, past a few tenants that may have no more: beyond those, the workers'
-- next look finds it, so that a thousand tenants at their limits make no step slow. False when there is no plan: then the workers must be told.
local function hand_out(queue)
  local plan = plan_of(queue)
  if not plan then return false end
  if not is_paused(queue) then
    serve(queue, room_of(queue, plan.window, plan.most, plan.counted), plan.running, plan.list, 16)
  end
  return true
end

-- Hands out what the end of a job made room for: jobs of its lane that count against each other, or of its tenant.
local function freed(queue, tenant)
  local plan = plan_of(queue)
  if not plan then return end
  if tonumber(redis.call('HGET', P .. 'quota:' .. tenant, 'running') or plan.running) > 0 then
    redis.call('PUBLISH', P .. 'signals', 'dispatch')
    return
  end
  for other in string.gmatch(plan.counted, '[^,]+') do
    if redis.call('EXISTS', P .. 'turns:' .. other) == 1 then hand_out(other) end
  end
end
