-- ARGV: id, worker. A suspect that was kept for this worker is anybody's again, at once.
go_on_when_full()
local id, at = ARGV[1], job(ARGV[1])
if not at or at.state ~= 'queued' or at.reserved ~= ARGV[2] then return 0 end
unset(id, 'reserved', 'reserved_until')
redis.call('ZADD', P .. 'sent:' .. at.queue, 'XX', 0, id)
redis.call('PUBLISH', P .. 'signals', 'dispatch')
return 1
