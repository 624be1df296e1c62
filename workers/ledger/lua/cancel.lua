-- ARGV: id, tenant. Returns the state afterwards ('running': its holder has been told), or nothing.
go_on_when_full()
local id, at = ARGV[1], job(ARGV[1])
if not at or at.tenant ~= ARGV[2] then return false end
if at.state == 'queued' or at.state == 'delayed' then
  set(id, 'cancel', 1)
  finish(id, 'cancelled')
elseif at.state == 'running' then
  set(id, 'cancel', 1)
  redis.call('PUBLISH', P .. 'signals', 'cancel ' .. id)
end
return at.state
