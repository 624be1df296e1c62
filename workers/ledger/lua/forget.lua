-- ARGV: id, tenant, nonce, a state that it must have or ''. Removes a job and every trace of it, whatever its state.
-- Returns 1 when there was one. A holder's next write is refused; the signal makes it notice at once.
go_on_when_full()
local id, tenant = ARGV[1], ARGV[2]
local said = redis.call('GET', P .. 'op:' .. ARGV[3])
if said then return tonumber(said) end
local at = job(id)
local there = at and at.tenant == tenant and (ARGV[4] == '' or at.state == ARGV[4]) and 1 or 0
if there == 1 then
  local by = redis.call('HGET', job_key(id), 'key')
  if by then redis.call('SREM', P .. 'key:jobs:' .. by, id) end
  leave(id)
  if at.state == 'running' then redis.call('PUBLISH', P .. 'signals', 'cancel ' .. id) end
  local mine = at.idem and redis.call('GET', at.idem)
  if mine and string.sub(mine, 1, 32) == id then redis.call('DEL', at.idem) end
  redis.call('DEL', job_key(id), P .. 'events:' .. id, P .. 'text:' .. id, P .. 'tokens:' .. id, P .. 'checkpoints:' .. id)
end
if there == 1 or not at then
  -- Also of one that has expired, whose entries nobody has swept yet.
  redis.call('ZREM', P .. 'finished', tenant .. ' ' .. id)
  redis.call('ZREM', P .. 'dead', tenant .. ' ' .. id)
  redis.call('ZREM', P .. 'dead:' .. tenant, id)
  redis.call('ZREM', P .. 'jobs:' .. tenant, id)
end
redis.call('SET', P .. 'op:' .. ARGV[3], there, 'EX', 30)
return there
