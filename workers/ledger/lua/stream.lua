-- Text, progress and token ids of an attempt, in one step: the ids that are kept never lag behind the text.
-- ARGV: id, token, nonce, characters in the stream as the holder knows it, text or '', its length in characters,
-- progress as JSON or '', '1' when the text streamed so far is void, the attempt that began the text, characters
-- taken over from earlier attempts or '', then of the log of token ids: 'set', 'add' or '', what, its length before.
-- Returns the standing; 'lost' too when Redis was set back under the holder, so that what it adds would leave a hole.
go_on_when_full()
local id, key, log = ARGV[1], job_key(ARGV[1]), P .. 'tokens:' .. ARGV[1]
local last = redis.call('HMGET', key, 'nonce', 'reply', 'offset', 'attempt', 'began')
if last[1] == ARGV[3] then return last[2] end
local stands = standing(id, ARGV[2], true)
if stands == 'lost' or last[3] ~= ARGV[4] then return 'lost' end
-- Of the right length, but another attempt's text.
if ARGV[4] ~= '0' and ARGV[8] ~= '1' and (last[5] or '1') ~= ARGV[9] then return 'lost' end
if ARGV[11] == 'add' and redis.call('STRLEN', log) ~= tonumber(ARGV[13]) then return 'lost' end
if ARGV[11] == 'set' then
  redis.call('SET', log, ARGV[12])
elseif ARGV[11] == 'add' then
  redis.call('APPEND', log, ARGV[12])
end
if ARGV[8] == '1' then
  redis.call('HSET', key, 'offset', 0)
  redis.call('DEL', P .. 'text:' .. id)
  emit(id, 'restarted')
end
if ARGV[5] ~= '' then
  emit(id, 'delta', 'x', ARGV[5], 'b', ARGV[9])
  redis.call('APPEND', P .. 'text:' .. id, ARGV[5])
  redis.call('HINCRBY', key, 'offset', ARGV[6])
  redis.call('HSET', key, 'began', ARGV[9])
end
if ARGV[7] ~= '' then
  redis.call('HSET', key, 'progress', ARGV[7])
  emit(id, 'progress', 'p', ARGV[7])
end
if ARGV[10] ~= '' then redis.call('HSET', key, 'try:' .. last[4] .. ':resumed', ARGV[10]) end
redis.call('HSET', key, 'nonce', ARGV[3], 'reply', stands)
return stands
