-- ARGV: tenant, webhook-id, type, data as JSON, job's id or '', deliveries a tenant may have, ms a dead letter is kept,
-- then for each endpoint: name, id of the delivery, why it is a dead letter at once or ''.
-- Returns how many were new: an event that is said twice is told once, as long as its first telling is remembered.
go_on_when_full()
local tenant, log, made = ARGV[1], P .. 'webhook:log:' .. ARGV[1], 0
for i = 8, #ARGV, 3 do
  local name, id, why = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('EXISTS', delivery_key(id), P .. 'webhook:dropped:' .. id) == 0 then
    redis.call('HSET', delivery_key(id), 'id', id, 'tenant', tenant, 'endpoint', name, 'message', ARGV[2],
      'type', ARGV[3], 'data', ARGV[4], 'job', ARGV[5], 'created', now, 'since', now, 'tries', 0)
    redis.call('ZADD', log, now, id)
    if why == '' then line_up_delivery(id, tenant, name, now) else bury(id, tenant, name, why, ARGV[7]) end
    made = made + 1
  end
end
redis.call('ZREMRANGEBYSCORE', log, '-inf', now - 45 * 86400000)
redis.call('ZREMRANGEBYSCORE', P .. 'webhook:dead:' .. tenant, '-inf', now - 45 * 86400000)
local over = redis.call('ZCARD', log) - ARGV[6]
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', log, 0, math.min(over, 1000) - 1)) do
    drop_delivery(id)
    redis.call('ZREM', log, id)
  end
end
return made
