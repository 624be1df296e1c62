-- ARGV: nonce, ms after which an unclaimed message counts as lost, jobs that a tenant without limits of its own may
-- have running (0: no limit), ms that what follows holds for scripts which hand out by themselves, or '' when the
-- caller sends the messages. Then for each queue, in the order to serve: its name, window, broker's list, most that
-- may be out (sent or running; '': the window decides) and the queues that this counts, with commas.
-- Returns {queue, id, …}: the messages that were sent, or are to be.
local said = redis.call('LRANGE', P .. 'op:' .. ARGV[1], 0, -1)
if #said > 0 then return said end
local pushes = ARGV[4] ~= ''
if pushes then
  local plan = {'running', ARGV[3]}
  for i = 5, #ARGV, 5 do
    table.insert(plan, ARGV[i])
    table.insert(plan, table.concat({ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]}, ' '))
  end
  redis.call('DEL', P .. 'plan')
  redis.call('HSET', P .. 'plan', unpack(plan))
  redis.call('PEXPIRE', P .. 'plan', ARGV[4])
end
for i = 5, #ARGV, 5 do
  local queue, sent, list = ARGV[i], P .. 'sent:' .. ARGV[i], ARGV[i + 2]
  if not is_paused(queue) then
    -- What lies in the broker's list is waiting, not lost; only as many as are missing there are sent again.
    local missing = redis.call('ZCARD', sent) - redis.call('LLEN', list)
    if missing > 0 then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', sent, '-inf', now - ARGV[2], 'LIMIT', 0, math.min(missing, 500))) do
        send(queue, id, pushes and list)
      end
    end
    serve(queue, room_of(queue, tonumber(ARGV[i + 1]), ARGV[i + 3], ARGV[i + 4]), ARGV[3], pushes and list)
  end
end
if #out > 0 then
  redis.call('RPUSH', P .. 'op:' .. ARGV[1], unpack(out))
  redis.call('EXPIRE', P .. 'op:' .. ARGV[1], 30)
end
return out
