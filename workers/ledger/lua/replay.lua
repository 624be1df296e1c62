-- ARGV: id, tenant, nonce, the newest record version understood. Runs an ended job again, as if it were new but for
-- its id and its history. Returns nothing, or {'1' when it runs again, the state it has}.
go_on_when_full()
local id, key, at = ARGV[1], job_key(ARGV[1]), job(ARGV[1])
if not at or at.tenant ~= ARGV[2] then return false end
if redis.call('HGET', key, 'replayed') == ARGV[3] then return {'1', at.state} end
local may = at.state == 'dead' or at.state == 'failed' or at.state == 'expired' or at.state == 'cancelled'
if not may or tonumber(at.version or '0') > tonumber(ARGV[4]) then return {'0', at.state} end
local entry = at.tenant .. ' ' .. id
redis.call('ZREM', P .. 'finished', entry)
redis.call('ZREM', P .. 'dead', entry)
redis.call('ZREM', P .. 'dead:' .. at.tenant, id)
-- Its limits count from now on, as they counted from when it was submitted.
local since = at.again or at.submitted
if at.expires then set(id, 'expires', now + (at.expires - since)) end
if at.deadline then set(id, 'deadline', now + (at.deadline - since)) end
local had_text = tonumber(at.offset) > 0
unset(id, 'finished', 'error', 'cancel', 'started', 'progress', 'deaths', 'suspect', 'trimmed', 'began', 'nonce', 'reply')
set(id, 'again', now, 'replayed', ARGV[3], 'tries', 0, 'offset', 0, 'bytes', 0)
redis.call('PERSIST', key)
if at.idem then
  -- Whoever used the key since then has it.
  redis.call('SET', at.idem, id .. ' ' .. (at.print or ''), 'NX')
  if string.sub(redis.call('GET', at.idem), 1, 32) == id then redis.call('PERSIST', at.idem) end
end
-- Emptied, not deleted: ids of events go up for as long as there is a stream, so that a reader knows what it missed.
redis.call('PERSIST', P .. 'events:' .. id)
redis.call('XTRIM', P .. 'events:' .. id, 'MAXLEN', 0)
redis.call('DEL', P .. 'text:' .. id)
if had_text then tell(id, 'restarted') end
local by = redis.call('HMGET', key, 'key', 'origin')
if by[1] and not by[2] then redis.call('SADD', P .. 'key:jobs:' .. by[1], id) end
enqueue(id)
tell(id, 'state', 's', 'queued')
return {'1', 'queued'}
