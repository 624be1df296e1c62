-- Put before the scripts of webhooks, behind the prelude. `who` is an endpoint as tenant:name.
local function delivery_key(id) return P .. 'webhook:delivery:' .. id end

-- Takes a delivery out of every list and forgets it.
local function drop_delivery(id)
  local at = redis.call('HMGET', delivery_key(id), 'tenant', 'endpoint')
  if at[1] then
    local who = at[1] .. ':' .. at[2]
    redis.call('ZREM', P .. 'webhook:due:' .. who, id)
    redis.call('ZREM', P .. 'webhook:sending:' .. who, id)
    redis.call('ZREM', P .. 'webhook:dead:' .. at[1], id)
    redis.call('ZREM', P .. 'webhook:log:' .. at[1], id)
  end
  redis.call('DEL', delivery_key(id))
  -- Whoever looks through the records for what was not told must not find it missing: see workers/webhooks/catch_up.py.
  redis.call('SET', P .. 'webhook:dropped:' .. id, at[1] or '', 'PX', 7200000)
end

-- Makes a dead letter of a delivery; it is kept for `keep` ms.
local function bury(id, tenant, name, why, keep)
  local key = delivery_key(id)
  redis.call('ZREM', P .. 'webhook:due:' .. tenant .. ':' .. name, id)
  redis.call('ZREM', P .. 'webhook:sending:' .. tenant .. ':' .. name, id)
  redis.call('HSET', key, 'state', 'dead', 'ended', now, 'error', why)
  redis.call('HDEL', key, 'token', 'due')
  redis.call('PEXPIRE', key, keep)
  redis.call('ZADD', P .. 'webhook:dead:' .. tenant, now, id)
end

-- When somebody is to look at an endpoint next: when its first delivery is due.
local function next_turn(who, at_least)
  local first = redis.call('ZRANGE', P .. 'webhook:due:' .. who, 0, 0, 'WITHSCORES')
  if #first == 0 then
    redis.call('ZREM', P .. 'webhook:turns', who)
  else
    redis.call('ZADD', P .. 'webhook:turns', math.max(at_least or 0, first[2]), who)
  end
end

-- A delivery into its endpoint's line, from an instant on.
local function line_up_delivery(id, tenant, name, instant)
  local who = tenant .. ':' .. name
  redis.call('HSET', delivery_key(id), 'state', 'pending', 'due', instant)
  redis.call('HDEL', delivery_key(id), 'token')
  redis.call('ZREM', P .. 'webhook:sending:' .. who, id)
  redis.call('ZADD', P .. 'webhook:due:' .. who, instant, id)
  next_turn(who)
end
