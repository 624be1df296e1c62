-- ARGV: owner (random), lease in ms, deliveries under way to one endpoint at most, ms a dead letter is kept.
-- Returns the fields of a delivery that is due, now this owner's, or nothing. Whose owner dies is taken again after the
-- lease. Endpoints take turns, so that a slow one or one with a long line holds nobody else up.
go_on_when_full()
local said = redis.call('GET', P .. 'op:' .. ARGV[1])
if said then return redis.call('HGETALL', delivery_key(said)) end
for _, who in ipairs(redis.call('ZRANGEBYSCORE', P .. 'webhook:turns', '-inf', now, 'LIMIT', 0, 50)) do
  local cut = string.find(who, ':', 1, true)
  local tenant, name = string.sub(who, 1, cut - 1), string.sub(who, cut + 1)
  local due, sending, taken = P .. 'webhook:due:' .. who, P .. 'webhook:sending:' .. who, nil
  redis.call('ZREMRANGEBYSCORE', sending, '-inf', now)
  if redis.call('HEXISTS', P .. 'webhook:endpoints:' .. tenant, name) == 0 then
    for _, id in ipairs(redis.call('ZRANGE', due, 0, 199)) do
      drop_delivery(id)
      redis.call('ZREM', due, id)
    end
    next_turn(who)
  elseif redis.call('HGET', P .. 'webhook:state:' .. who, 'disabled') then
    for _, id in ipairs(redis.call('ZRANGE', due, 0, 199)) do
      if redis.call('EXISTS', delivery_key(id)) == 1 then bury(id, tenant, name, 'the endpoint is disabled', ARGV[4]) end
      redis.call('ZREM', due, id)
    end
    next_turn(who)
  elseif redis.call('ZCARD', sending) >= tonumber(ARGV[3]) then
    redis.call('ZADD', P .. 'webhook:turns', now + 500, who)
  else
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)) do
      if redis.call('EXISTS', delivery_key(id)) == 1 then
        taken = id
        break
      end
      redis.call('ZREM', due, id)
    end
    if taken then
      redis.call('ZADD', due, now + ARGV[2], taken)
      redis.call('ZADD', sending, now + ARGV[2], taken)
      redis.call('HSET', delivery_key(taken), 'state', 'sending', 'token', ARGV[1], 'last', now)
      redis.call('HINCRBY', delivery_key(taken), 'tries', 1)
      redis.call('SET', P .. 'op:' .. ARGV[1], taken, 'EX', 30)
    end
    next_turn(who, now + 1)
    if taken then return redis.call('HGETALL', delivery_key(taken)) end
  end
end
return false
