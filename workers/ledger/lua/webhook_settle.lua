-- ARGV: id, owner, outcome (delivered, retry, dead, gone), ms until the next try, HTTP status or '', what went wrong or
-- '', ms that a delivered one and a dead letter are kept, ms of failing without a break after which an endpoint is
-- disabled. Returns the delivery's state, or 'lost' when it is not this owner's; a repeat finds it settled.
go_on_when_full()
local id, key = ARGV[1], delivery_key(ARGV[1])
local at = redis.call('HMGET', key, 'tenant', 'endpoint', 'token', 'settled', 'state')
if not at[1] then return 'lost' end
if at[4] == ARGV[2] then return at[5] end
if at[3] ~= ARGV[2] then return 'lost' end
local tenant, name, who = at[1], at[2], at[1] .. ':' .. at[2]
local standing = P .. 'webhook:state:' .. who
redis.call('HSET', key, 'status', ARGV[5], 'settled', ARGV[2])
local state = ARGV[3]
if state == 'delivered' then
  redis.call('ZREM', P .. 'webhook:due:' .. who, id)
  redis.call('ZREM', P .. 'webhook:sending:' .. who, id)
  redis.call('ZREM', P .. 'webhook:dead:' .. tenant, id)
  redis.call('HSET', key, 'state', state, 'ended', now)
  redis.call('HDEL', key, 'token', 'due', 'error')
  redis.call('PEXPIRE', key, ARGV[7])
  redis.call('HSET', standing, 'delivered', now)
  redis.call('HDEL', standing, 'failing', 'error')
else
  redis.call('HSETNX', standing, 'failing', now)
  redis.call('HSET', standing, 'error', ARGV[6])
  local failing = now - redis.call('HGET', standing, 'failing')
  if state == 'retry' then
    redis.call('HSET', key, 'error', ARGV[6])
    line_up_delivery(id, tenant, name, now + ARGV[4])
    state = 'pending'
  else
    bury(id, tenant, name, ARGV[6], ARGV[8])
  end
  if ARGV[3] == 'gone' or failing > tonumber(ARGV[9]) then
    redis.call('HSETNX', standing, 'disabled', now)
    redis.call('HSETNX', standing, 'why', ARGV[3] == 'gone' and 'it answered 410 Gone' or 'it failed for too long')
  end
end
next_turn(who)
return state == 'gone' and 'dead' or state
