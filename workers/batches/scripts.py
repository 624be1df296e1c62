"""Each change of a batch is one of these scripts. What a driver writes is refused once another one has its lease.

A deletion comes before the first write, so that a Redis at its memory limit lets batches that were accepted go on;
only `CREATE` is refused then. Times are milliseconds of Redis' own clock. KEYS[1] is the prefix with its colon, and
ARGV[1] the batch's id. Run twice, as redis-py does when a reply was lost, each changes nothing the second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.ledger.scripts import call

if TYPE_CHECKING:
    import redis

_HEAD = """
local P, id = KEYS[1] .. 'batch:', ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local key = P .. id
local function held(token)
  if redis.call('GET', P .. 'lease:' .. id) ~= token then return false end
  redis.call('DEL', KEYS[1] .. 'nothing')
  return redis.call('EXISTS', key) == 1
end
"""

# ARGV: id, tenant, milliseconds until it expires, then field, value, … Returns whether it is there now by this call.
CREATE = """
if redis.call('EXISTS', key) == 1 then return 0 end
redis.call('HSET', key, 'id', id, 'tenant', ARGV[2], 'state', 'validating', 'created', now, 'expires', now + ARGV[3],
  unpack(ARGV, 4))
redis.call('ZADD', P .. 'of:' .. ARGV[2], now, id)
redis.call('SADD', P .. 'open', id)
redis.call('PUBLISH', KEYS[1] .. 'signals', 'batch')
return 1
"""

# ARGV: id, token, milliseconds. Takes or renews; returns whether the token has it now.
LEASE = """
local name = P .. 'lease:' .. id
redis.call('DEL', KEYS[1] .. 'nothing')
local holder = redis.call('GET', name)
if holder == ARGV[2] then return redis.call('PEXPIRE', name, ARGV[3]) end
if holder or redis.call('SISMEMBER', P .. 'open', id) == 0 then return 0 end
redis.call('SET', name, ARGV[2], 'PX', ARGV[3])
return 1
"""

# ARGV: id, token. Gives the lease back.
LEAVE = """
if redis.call('GET', P .. 'lease:' .. id) == ARGV[2] then redis.call('DEL', P .. 'lease:' .. id) end
return 1
"""

# ARGV: id, token, then field, value, … of the record.
SAVE = """
if not held(ARGV[2]) then return 0 end
redis.call('HSET', key, unpack(ARGV, 3))
return 1
"""

# ARGV: id, token, then number, place, … of chunks, and behind '' the references that its lines carry.
PLAN = """
if not held(ARGV[2]) then return 0 end
local refs = false
for at = 3, #ARGV, 2 do
  if ARGV[at] == '' then refs = at + 1 break end
  redis.call('HSET', P .. 'chunks:' .. id, ARGV[at], ARGV[at + 1])
end
if refs then
  for at = refs, #ARGV do redis.call('SADD', P .. 'refs:' .. id, ARGV[at]) end
end
return 1
"""

# ARGV: id, token, lines. The input is read and good: work begins.
BEGIN = """
if not held(ARGV[2]) then return 0 end
if redis.call('HGET', key, 'state') ~= 'validating' then return 1 end
redis.call('HSET', key, 'state', 'in_progress', 'started', now, 'total', ARGV[3])
return 1
"""

# ARGV: id, token, number of the chunk, its parts as JSON, then lines completed, lines failed, tokens of prompts and of
# answers, milliseconds, and lines of other chunks that have ended (well, badly). The first to say it counts.
PART = """
if not held(ARGV[2]) then return 0 end
if redis.call('HSETNX', P .. 'parts:' .. id, ARGV[3], ARGV[4]) == 1 then
  for at, field in ipairs({'completed', 'failed', 'prompt_tokens', 'completion_tokens', 'milliseconds'}) do
    redis.call('HINCRBY', key, field, ARGV[4 + at])
  end
  redis.call('SADD', P .. 'litter:' .. id, ARGV[3])
end
redis.call('HSET', key, 'live_completed', ARGV[10], 'live_failed', ARGV[11])
return 1
"""

# ARGV: id, token, number of the chunk: its jobs are forgotten.
TIDIED = """
if not held(ARGV[2]) then return 0 end
redis.call('SREM', P .. 'litter:' .. id, ARGV[3])
return 1
"""

# ARGV: id, token.
FINALIZE = """
if not held(ARGV[2]) then return 0 end
if redis.call('HGET', key, 'state') == 'in_progress' then
  redis.call('HSET', key, 'state', 'finalizing', 'finalizing', now)
end
return 1
"""

# ARGV: id, token, final state, milliseconds the record is kept, then field, value, … Ends it for good.
FINISH = """
if not held(ARGV[2]) then return 0 end
redis.call('HSET', key, 'state', ARGV[3], 'finished', now, unpack(ARGV, 5))
redis.call('HDEL', key, 'live_completed', 'live_failed')
redis.call('SREM', P .. 'open', id)
redis.call('SADD', P .. 'untold', id)
redis.call('DEL', P .. 'chunks:' .. id, P .. 'parts:' .. id, P .. 'litter:' .. id, P .. 'refs:' .. id,
  P .. 'lease:' .. id)
redis.call('PEXPIRE', key, ARGV[4])
redis.call('PUBLISH', KEYS[1] .. 'signals', 'batch')
return 1
"""

# ARGV: id, tenant. Returns the state it was in; nothing when it is none of the tenant's.
CANCEL = """
if redis.call('HGET', key, 'tenant') ~= ARGV[2] then return false end
local state = redis.call('HGET', key, 'state')
if state == 'validating' or state == 'in_progress' then
  redis.call('DEL', KEYS[1] .. 'nothing')
  redis.call('HSET', key, 'state', 'cancelling', 'cancelling', now)
end
return state
"""

# ARGV: id, tenant. Deletes all there is of it.
FORGET = """
if redis.call('HGET', key, 'tenant') ~= ARGV[2] then return 0 end
redis.call('DEL', key, P .. 'chunks:' .. id, P .. 'parts:' .. id, P .. 'litter:' .. id, P .. 'refs:' .. id,
  P .. 'lease:' .. id)
redis.call('SREM', P .. 'open', id)
redis.call('SREM', P .. 'untold', id)
redis.call('ZREM', P .. 'of:' .. ARGV[2], id)
return 1
"""

# ARGV: id of the file, tenant, milliseconds it is kept ('' for ever), then field, value, …
KEEP_FILE = """
key = P .. 'file:' .. id
if redis.call('EXISTS', key) == 1 then return 0 end
redis.call('DEL', KEYS[1] .. 'nothing')
redis.call('HSET', key, 'id', id, 'tenant', ARGV[2], 'created', now, unpack(ARGV, 4))
if ARGV[3] ~= '' then
  redis.call('HSET', key, 'expires', now + ARGV[3])
  redis.call('PEXPIRE', key, ARGV[3])
end
redis.call('ZADD', P .. 'files:' .. ARGV[2], now, id)
return 1
"""

# ARGV: id of the file, tenant.
DROP_FILE = """
key = P .. 'file:' .. id
redis.call('ZREM', P .. 'files:' .. ARGV[2], id)
if redis.call('HGET', key, 'tenant') ~= ARGV[2] then return 0 end
return redis.call('DEL', key)
"""


def run(client: redis.Redis, prefix: str, script: str, *args: str | float) -> Any:
    """Run one of them.

    Args:
        client: Decoding.
        prefix: With its colon.
        script: Its text.
        args: Its arguments.

    Raises:
        RedisUnavailable, StorageFull: as every call to Redis.
    """
    return call(client, client.register_script(_HEAD + script), prefix, args)
