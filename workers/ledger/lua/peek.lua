-- ARGV: id, tenant, the last event id a reader has. Returns nothing when there is no such job of the tenant, else
-- {'1' when what follows that id is no longer whole, state, attempt, text so far, id to go on from, end's id or ''}.
local id, stream = ARGV[1], P .. 'events:' .. ARGV[1]
local at = redis.call('HMGET', job_key(id), 'tenant', 'state', 'attempt', 'trimmed')
if at[1] ~= ARGV[2] then return false end
local ends = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 2)
if #ends == 0 then return {'1', at[2], at[3], '', '0-0', ''} end
-- An id that is not there was trimmed, rolled back with Redis, or never this job's: newer ones may follow it all the same.
local torn = at[4]
if ARGV[3] ~= '0-0' then torn = #redis.call('XRANGE', stream, ARGV[3], ARGV[3]) == 0 end
local go_on, last = ends[1][1], ''
if at[2] ~= 'queued' and at[2] ~= 'delayed' and at[2] ~= 'running' then
  last = ends[1][1]
  go_on = ends[2] and ends[2][1] or '0-0'
end
if not torn then return {'0', at[2], at[3], '', ARGV[3], last} end
return {'1', at[2], at[3], redis.call('GET', P .. 'text:' .. id) or '', go_on, last}
