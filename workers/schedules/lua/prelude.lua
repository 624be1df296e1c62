-- Put before every script. KEYS[1] is the prefix of the schedules' keys with its colon; a schedule is TENANT:NAME in
-- them. Times are milliseconds, and come from the scheduler's clock, which is Redis' own outside tests.
local P = KEYS[1]

-- Adds a firing unless it is there. `look` is when to do something about it; false for one that has ended.
local function add(member, key, due, json, look)
  if redis.call('HSETNX', P .. 'firings:' .. member, key, json) == 0 then return end
  redis.call('ZADD', P .. 'order:' .. member, due, key)
  if look then redis.call('ZADD', P .. 'open', look, member .. ':' .. key) end
end

-- Forgets the oldest of the ended firings that are too many.
local function trim(member, keep)
  local order = P .. 'order:' .. member
  local over = redis.call('ZCARD', order) - keep
  if over <= 0 then return end
  for _, key in ipairs(redis.call('ZRANGE', order, 0, over - 1)) do
    if not redis.call('ZSCORE', P .. 'open', member .. ':' .. key) then
      redis.call('ZREM', order, key)
      redis.call('HDEL', P .. 'firings:' .. member, key)
    end
  end
end
