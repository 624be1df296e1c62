-- Returns one JSON object a tenant that has jobs or limits of its own, or is paused.
local out, names, paused = {}, {}, {}
for _, name in ipairs(redis.call('SMEMBERS', P .. 'paused')) do
  local tenant = string.match(name, '^tenant:(.*)$')
  if tenant then paused[tenant], names[tenant] = true, true end
end
for _, name in ipairs(redis.call('SMEMBERS', P .. 'tenants')) do names[name] = true end
for name in pairs(names) do
  local own = redis.call('HMGET', P .. 'quota:' .. name, 'queued', 'running', 'share', unpack(QUOTAS))
  table.insert(out, cjson.encode({
    name = name, queued = queued_of(name), running = redis.call('SCARD', P .. 'busy:' .. name),
    paused = paused[name] or false,
    limits = {queued = tonumber(own[1] or ''), running = tonumber(own[2] or ''), share = tonumber(own[3] or ''),
      tokens_day = tonumber(own[4] or ''), tokens_month = tonumber(own[5] or ''),
      seconds_day = tonumber(own[6] or ''), seconds_month = tonumber(own[7] or '')}
  }))
end
return out
