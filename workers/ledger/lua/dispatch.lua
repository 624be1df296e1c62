-- ARGV: nonce, ms after which an unclaimed message counts as lost, then queue, window, broker's list, … in the
-- order to serve. Returns {queue, id, …}: the messages to send now.
local said = redis.call('LRANGE', P .. 'op:' .. ARGV[1], 0, -1)
if #said > 0 then return said end
local out = {}
local function send(queue, id)
  redis.call('ZADD', P .. 'sent:' .. queue, now, id)
  table.insert(out, queue)
  table.insert(out, id)
end
for i = 3, #ARGV, 3 do
  local queue, window, sent = ARGV[i], tonumber(ARGV[i + 1]), P .. 'sent:' .. ARGV[i]
  local turns = P .. 'turns:' .. queue
  -- What lies in the broker's list is waiting, not lost; only as many as are missing there are sent again.
  local missing = redis.call('ZCARD', sent) - redis.call('LLEN', ARGV[i + 2])
  if missing > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', sent, '-inf', now - ARGV[2], 'LIMIT', 0, math.min(missing, 500))) do
      send(queue, id)
    end
  end
  local room = window - redis.call('ZCARD', sent)
  while room > 0 and #out < 2000 do
    local next_one = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    if not next_one[1] then break end
    local tenant, turn = next_one[1], tonumber(next_one[2])
    local line = P .. 'waiting:' .. queue .. ':' .. tenant
    local id = redis.call('ZPOPMIN', line)[1]
    if id then
      redis.call('SET', P .. 'turn:' .. queue, turn)
      redis.call('ZADD', turns, turn + 1, tenant)
      send(queue, id)
      room = room - 1
    end
    if redis.call('EXISTS', line) == 0 then
      redis.call('ZREM', turns, tenant)
      redis.call('ZREMRANGEBYSCORE', P .. 'rested:' .. queue, '-inf', turn)
      if id then redis.call('ZADD', P .. 'rested:' .. queue, turn + 1, tenant) end
    end
  end
end
if #out > 0 then
  redis.call('RPUSH', P .. 'op:' .. ARGV[1], unpack(out))
  redis.call('EXPIRE', P .. 'op:' .. ARGV[1], 30)
end
return out
