"""The ledger's keys, as Redis itself serialises them: all at one instant out, and back in."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from workers.backup.errors import BackupFailed, BackupInvalid
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    import redis

_HEAD = struct.Struct(">IqQ")
_AT_ONCE = 500
_LONGEST_KEY = 4096
_LONGEST_VALUE = 1 << 32
_LEFT_OUT = ("workers", "seen", "boot", "pause", "beat:lock", "beat::lock")
_LEFT_OUT_BELOW = ("op:", "keeping:", "writer:", "broker:phiq.worker.", "key:rate:")
"""What belongs to the processes of one moment. A worker's list, a lock or a nonce of then is of no use later."""

_IN_SCRIPT, _LARGE = 200, 262_144
_SCRIPT = """
local found = redis.call('SCAN', ARGV[2], 'MATCH', ARGV[1] .. '*', 'COUNT', ARGV[3])
local out, keys, jobs, large = {}, 0, 0, {}
local function kept(name)
  local below = false
  for i = 6, #ARGV do
    if ARGV[i] == '' then below = true
    elseif below and string.sub(name, 1, #ARGV[i]) == ARGV[i] then return false
    elseif not below and name == ARGV[i] then return false end
  end
  return true
end
for _, key in ipairs(found[2]) do
  local name = string.sub(key, #ARGV[1] + 1)
  local value = kept(name) and redis.call('DUMP', key)
  if value and #value > tonumber(ARGV[5]) then
    table.insert(large, key)
  elseif value then
    local left = redis.call('PTTL', key)
    table.insert(out, struct.pack('>I4i8I8', #key, left >= 0 and tonumber(ARGV[4]) + left or -1, #value))
    table.insert(out, key)
    table.insert(out, value)
    keys = keys + 1
    if string.sub(name, 1, 4) == 'job:' then jobs = jobs + 1 end
  end
end
return {found[1], keys, jobs, table.concat(out), large}
"""


@dataclass
class Dumped:
    """What was written: keys of all kinds, and jobs among them."""

    keys: int = 0
    jobs: int = 0
    held: float = 0.0


@dataclass
class Loaded:
    """What was read: keys, jobs among them, and keys whose time had passed since."""

    keys: int = 0
    jobs: int = 0
    expired: int = 0
    running: list[str] = field(default_factory=list)


def dump(client: redis.Redis, prefix: str, out: IO[bytes], limit: float, busy: Callable[[], bool]) -> Dumped:
    """Write every key of a ledger as it was at one instant.

    Writers are held by Redis itself (CLIENT PAUSE) while keys are read: what a job's record says, and the lines and
    lists that the job is in, fit together only when nothing moves between two reads. Held for ever nobody is: the
    pause ends by itself.

    Args:
        client: Decodes replies; nobody else's commands go over it meanwhile.
        prefix: Of the keys, without the colon.
        out: Where to.
        limit: Seconds that writers may be held: well below a lease.
        busy: Whether anybody may write now. Asked only where holding is forbidden or takes too long.

    Raises:
        BackupFailed: it took too long, or Redis allows no pause, while somebody may write.
    """
    began = time.monotonic()
    with _held(client, limit) as paused:
        done = _write(client, prefix, out)
        done.held = time.monotonic() - began
    if paused and done.held < limit:
        return done
    if busy():
        why = f"its {done.keys:,} keys took {done.held:.1f} s to read" if paused else "it does not allow CLIENT PAUSE"
        raise BackupFailed(
            f"Redis can't be read at one instant while phiq works: {why}.",
            hint="Stop phiq (phiq down, or its workers), then repeat the command.",
            subject="redis",
        )
    return done


def load(client: redis.Redis, prefix: str, source: IO[bytes]) -> Loaded:
    """Write the keys of a dump into a Redis that has none of them. What has expired since stays away.

    Raises:
        BackupInvalid: the dump is damaged, of another prefix, or of a newer Redis.
    """
    import redis as library

    loaded = Loaded()
    with redis_errors():
        now = _clock(client)
    batch: list[tuple[str, int, bytes]] = []

    def flush() -> None:
        pipe = client.pipeline(transaction=False)
        for key, until, value in batch:
            # A scan may have shown a key twice.
            pipe.restore(key, max(until, 0), value, replace=True, absttl=until >= 0)
        try:
            pipe.execute()
        except library.ResponseError as error:
            raise BackupInvalid(
                f"Redis does not take what the backup holds: {str(error)[:200]}.",
                hint="Restore into a Redis of the same version or a newer one, with no jobs in it.",
                subject="redis",
            ) from error
        batch.clear()

    for key, until, value in _entries(source):
        if not key.startswith(f"{prefix}:"):
            raise BackupInvalid(
                f"The backup holds keys of another prefix ({key[:40]!r}).",
                hint="Set PHIQ_KEY_PREFIX as it was when the backup was made.",
                subject="redis",
            )
        if 0 <= until <= now:
            loaded.expired += 1
            continue
        batch.append((key, until, value))
        loaded.keys += 1
        loaded.jobs += key.startswith(f"{prefix}:job:")
        if len(batch) >= _AT_ONCE:
            with redis_errors():
                flush()
    with redis_errors():
        flush()
    return loaded


def wipe(client: Any, prefix: str) -> int:
    """Delete every key of a ledger; returns how many there were."""
    gone = 0
    with redis_errors():
        keys: list[str] = []
        for key in client.scan_iter(match=f"{prefix}:*", count=1000):
            keys.append(key)
            if len(keys) >= _AT_ONCE:
                gone += int(client.unlink(*keys))
                keys = []
        if keys:
            gone += int(client.unlink(*keys))
    return gone


@contextlib.contextmanager
def _held(client: redis.Redis, seconds: float) -> Iterator[bool]:
    """Hold all writers for at most so long; tells whether Redis allowed it."""
    import redis as library

    try:
        client.client_pause(round(seconds * 1000), all=False)
    except (library.ResponseError, library.AuthenticationError):
        yield False
        return
    except library.RedisError:
        with redis_errors():
            raise
    try:
        yield True
    finally:
        with contextlib.suppress(library.RedisError):
            client.client_unpause()


def _write(client: Any, prefix: str, out: IO[bytes]) -> Dumped:
    """Read all keys and write them; as fast as can be, since writers wait."""
    done = Dumped()
    with redis_errors():
        now = _clock(client)
        # EVAL_RO may run while writers are held; older servers have only EVAL, which may not.
        packed = int(str(client.info("server")["redis_version"]).split(".")[0]) >= 7
        cursor = "0"
        while True:
            if packed:
                cursor, large = _pack(client, prefix, cursor, now, out, done)
            else:
                number, large = client.scan(cursor, match=f"{prefix}:*", count=_AT_ONCE)
                cursor = str(number)
            _each(client, [key for key in large if _kept(key, prefix)], now, out, done, prefix)
            if cursor == "0":
                return done


def _pack(client: Any, prefix: str, cursor: str, now: int, out: IO[bytes], done: Dumped) -> tuple[str, list[str]]:
    """Let Redis write some entries by itself; returns where to go on, and the keys that are too large for that."""
    arguments = (f"{prefix}:", cursor, _IN_SCRIPT, now, _LARGE, *_LEFT_OUT, "", *_LEFT_OUT_BELOW)
    reply = client.execute_command("EVAL_RO", _SCRIPT, 0, *arguments, NEVER_DECODE=[])
    out.write(reply[3])
    done.keys += reply[1]
    done.jobs += reply[2]
    return reply[0].decode(), [key.decode() for key in reply[4]]


def _each(client: Any, keys: list[str], now: int, out: IO[bytes], done: Dumped, prefix: str) -> None:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.dump(key)
        pipe.pttl(key)
    replies = pipe.execute() if keys else []
    for key, value, left in zip(keys, replies[::2], replies[1::2], strict=True):
        if value is None:
            continue  # expired between two commands
        name = key.encode()
        out.write(_HEAD.pack(len(name), now + left if left >= 0 else -1, len(value)))
        out.write(name)
        out.write(value)
        done.keys += 1
        done.jobs += key.startswith(f"{prefix}:job:")


def _kept(key: str, prefix: str) -> bool:
    name = key.removeprefix(f"{prefix}:")
    return name not in _LEFT_OUT and not name.startswith(_LEFT_OUT_BELOW)


def _entries(source: IO[bytes]) -> Iterator[tuple[str, int, bytes]]:
    while head := source.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise _damaged()
        key_size, until, size = _HEAD.unpack(head)
        if key_size > _LONGEST_KEY or size > _LONGEST_VALUE:
            raise _damaged()
        key, value = source.read(key_size), source.read(size)
        if len(key) < key_size or len(value) < size:
            raise _damaged()
        try:
            yield key.decode(), until, value
        except UnicodeDecodeError as error:
            raise _damaged() from error


def _damaged() -> BackupInvalid:
    return BackupInvalid("The queue in the backup is damaged.", hint="Take another backup.", subject="redis.dump")


def _clock(client: Any) -> int:
    """Redis' clock, in milliseconds."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
