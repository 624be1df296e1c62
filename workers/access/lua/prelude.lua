-- Put before every script of keys. KEYS[1] is the key prefix with its colon. Times are milliseconds of Redis' clock,
-- so that all gateways mean the same minute.
local P = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A Redis at its memory limit refuses a script's first write, but not those after one that frees. People must be able
-- to show, cancel and revoke then.
local function go_on_when_full() redis.call('DEL', P .. 'nothing') end

local function map(flat)
  local out = {}
  for i = 1, #flat, 2 do out[flat[i]] = flat[i + 1] end
  return out
end

-- What is left in a bucket that holds `most` and fills itself within a minute.
local function left(bucket, field, most)
  local at = redis.call('HMGET', bucket, field, field .. ':at')
  if not at[1] then return most end
  return math.min(most, tonumber(at[1]) + math.max(0, now - tonumber(at[2])) * most / 60000)
end

local function put(bucket, field, amount)
  redis.call('HSET', bucket, field, tostring(amount), field .. ':at', now)
  redis.call('PEXPIRE', bucket, math.max(120000, redis.call('PTTL', bucket)))
end
