-- ARGV: names of queues to tell of in any case. Returns one JSON object a queue.
local out, names, paused = {}, {}, {}
for _, name in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[name] = true end
for _, name in ipairs(ARGV) do names[name] = true end
for _, name in ipairs(redis.call('SMEMBERS', P .. 'queues')) do names[name] = true end
for name in pairs(names) do
  local sent = redis.call('ZCARD', P .. 'sent:' .. name)
  local waiting, oldest = sent, now
  local first = redis.call('ZRANGE', P .. 'sent:' .. name, 0, -1)
  for _, id in ipairs(first) do
    local at = job(id)
    if at then oldest = math.min(oldest, tonumber(at.again or at.submitted)) end
  end
  for _, tenant in ipairs(redis.call('ZRANGE', P .. 'turns:' .. name, 0, -1)) do
    local line = P .. 'waiting:' .. name .. ':' .. tenant
    waiting = waiting + redis.call('ZCARD', line)
    oldest = math.min(oldest, tonumber(redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2] or now))
  end
  local pace = redis.call('HGET', P .. 'pace', name)
  table.insert(out, cjson.encode({
    name = name, waiting = waiting, sent = sent, running = redis.call('ZCARD', P .. 'running:' .. name),
    oldest_age = (now - oldest) / 1000, pace = pace and pace / 1000 or nil, paused = paused[name] or false
  }))
end
return out
