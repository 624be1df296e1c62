-- Looks at a key and takes one request from its limits, in one step. ARGV: id, hash of the whole key.
-- Done twice, because a reply was lost, it takes two requests of the minute's: that hurts nobody, so it has no nonce.
-- Returns {why not} or {'ok', most, left and ms until full of requests, then of tokens, then field, value, … of the
-- key}; 'limited' instead of 'ok' when no request is left.
local id, hash = ARGV[1], ARGV[2]
local key = P .. 'key:' .. id
local flat = redis.call('HGETALL', key)
local at = map(flat)
local used = 'used'
-- Hashes are compared, not secrets: how far two are alike tells nothing of what was hashed.
if at.hash ~= hash then
  if not at.old_hash or at.old_hash ~= hash or now >= tonumber(at.old_until) then return {'unknown'} end
  used = 'old_used'
end
if at.revoked then return {'revoked'} end
if at.expires and now >= tonumber(at.expires) then return {'expired'} end
go_on_when_full()
if now - tonumber(at[used] or '0') >= 60000 then redis.call('HSET', key, used, now) end
local bucket = P .. 'key:rate:' .. id
local out = {'ok'}
local function tell(most, have)
  table.insert(out, most)
  table.insert(out, math.max(0, math.floor(have)))
  table.insert(out, most > 0 and math.ceil((most - have) * 60000 / most) or 0)
end
local requests, tokens = tonumber(at.requests or '0'), tonumber(at.tokens or '0')
local have = 0
if requests > 0 then
  have = left(bucket, 'requests', requests)
  if have >= 1 then
    have = have - 1
    put(bucket, 'requests', have)
  else
    out[1] = 'limited'
  end
end
tell(requests, have)
tell(tokens, tokens > 0 and left(bucket, 'tokens', tokens) or 0)
for _, value in ipairs(flat) do table.insert(out, value) end
return out
