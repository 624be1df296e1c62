-- ARGV: id, tenant. Returns the state afterwards ('running': its holder has been told), or nothing.
go_on_when_full()
local id, key = ARGV[1], job_key(ARGV[1])
local at = redis.call('HMGET', key, 'tenant', 'state')
if at[1] ~= ARGV[2] then return false end
if at[2] == 'queued' or at[2] == 'delayed' then
  redis.call('HSET', key, 'cancel', 1)
  finish(id, 'cancelled')
  return 'cancelled'
end
if at[2] == 'running' then
  redis.call('HSET', key, 'cancel', 1)
  redis.call('PUBLISH', P .. 'signals', 'cancel ' .. id)
end
return at[2]
