-- Ends an attempt. ARGV: id, token, nonce, outcome (succeeded, failed, cancelled, expired, released), result or
-- error as JSON or '', '1' when the failure is transient, delay in ms before a retry, reference to the result in the
-- content store when it is too large for here or '', characters in the stream as the holder knows it or '', ms a dead
-- letter is kept, the attempt that began the text in the stream as the holder knows it, tokens used as `finish` takes
-- them, references to what the result needs in the content store with commas between or ''.
-- Cancel and deadline against finish are decided here: who was told "cancelled" never gets a result.
-- Returns the job's new state, or 'lost', also when Redis was set back under the holder: its stream has a hole then.
go_on_when_full()
local id, key, outcome, payload = ARGV[1], job_key(ARGV[1]), ARGV[4], ARGV[5]
local at = job(id)
if at and at.nonce == ARGV[3] then return at.reply end
local stands = standing(id, ARGV[2], true)
if stands == 'lost' or (ARGV[9] and ARGV[9] ~= '' and ARGV[9] ~= at.offset) then return 'lost' end
if ARGV[11] and at.offset ~= '0' and (redis.call('HGET', key, 'began') or '1') ~= ARGV[11] then return 'lost' end
if stands ~= '' then outcome = stands end
local state = outcome
if outcome == 'succeeded' then
  if ARGV[8] and ARGV[8] ~= '' then
    redis.call('HSET', key, 'result_ref', ARGV[8], 'version', 2)
  else
    redis.call('HSET', key, 'result', payload)
  end
  if ARGV[13] and ARGV[13] ~= '' then redis.call('HSET', key, 'kept', ARGV[13]) end
  close_attempt(id, outcome)
  finish(id, outcome, nil, ARGV[12])
elseif outcome == 'failed' then
  close_attempt(id, outcome, payload)
  if ARGV[6] == '1' and tonumber(at.tries) < tonumber(at.max_attempts) then
    again(id, tonumber(ARGV[7]))
    state = at.state
  else
    redis.call('HSET', key, 'error', payload)
    if ARGV[6] == '1' then state = 'dead' end
    finish(id, state, ARGV[10])
  end
elseif outcome == 'released' then
  close_attempt(id, outcome)
  set(id, 'tries', tonumber(at.tries) - 1)
  again(id, 0)
  state = 'queued'
else
  close_attempt(id, outcome)
  finish(id, outcome)
end
redis.call('HSET', key, 'nonce', ARGV[3], 'reply', state)
freed(at.queue, at.tenant)
return state
