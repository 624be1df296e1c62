"""Restoring a backup into an installation that holds nothing: what is referred to first, the queue last."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knowledge.keep import Keep
from workers.access.audit import Audit
from workers.backup import documents, manifest, redis_dump
from workers.backup.archive import Reader, disk_errors
from workers.backup.errors import BackupInvalid, BackupRefused
from workers.backup.make import OnProgress, quiet
from workers.backup.manifest import Manifest
from workers.backup.servers import Servers, runs, servers
from workers.errors import StorageFull
from workers.ledger.scripts import redis_errors
from workers.settings import Settings


@dataclass
class Restored:
    """What a restore did. ``expired``: keys whose time had passed; ``released``: jobs that ran, now in line again."""

    manifest: Manifest
    keys: int = 0
    jobs: int = 0
    expired: int = 0
    passages: int = 0
    contents: int = 0
    models: int = 0
    released: int = 0
    notes: list[str] = field(default_factory=list)


def restore(
    settings: Settings,
    source: Path,
    *,
    models: bool = False,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Restored:
    """Check a backup from its first to its last byte, then put it where the settings say. Start phiq afterwards.

    Args:
        settings: Of the installation to fill.
        source: The backup.
        models: Put back its models too.
        force: Stop a stack that runs there and throw away what is there.
        on_progress: Told how far it is.

    Raises:
        BackupInvalid: it is not whole, was changed, or was made by a newer version. Nothing was touched.
        BackupRefused: something is there or runs there, and ``force`` was not given.
    """
    tell = on_progress or quiet
    tell("checking the backup", 0, 0)
    reader = Reader(source)
    if reader.manifest.key_prefix != settings.key_prefix:
        raise BackupRefused(
            f"The backup is of an installation with the key prefix '{reader.manifest.key_prefix}'.",
            hint=f"PHIQ_KEY_PREFIX={reader.manifest.key_prefix} phiq restore {source}",
            subject=str(source),
        )
    _room(settings, reader)
    _stopped(settings, force)
    done = Restored(reader.manifest, notes=list(reader.manifest.notes))
    with servers(settings) as have:
        _emptied(have, force)
        _contents(have, reader, done, tell)
        _documents(have.keep, reader, done, tell)
        if models:
            _models(settings, reader, done, tell)
        _queue(have, reader, done, tell)
        Audit(have.client, settings.key_prefix).did("restore", source.name)
    return done


def _room(settings: Settings, reader: Reader) -> None:
    needed = sum(entry.size for entry in reader.manifest.files.values())
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFull(
            f"The backup needs {needed // 1_000_000} MB and {settings.data_dir} has {free // 1_000_000} MB.",
            hint="Free some disk space, or set PHIQ_DATA_DIR to a folder on a larger disk.",
            subject=str(settings.data_dir),
        )


def _stopped(settings: Settings, force: bool) -> None:
    if not runs(settings):
        return
    if not force:
        raise BackupRefused(
            f"phiq runs in {settings.data_dir}.", hint="phiq down, then restore (or add --force).", subject="phiq up"
        )
    from workers.stack import down

    down(settings)


def _emptied(have: Servers, force: bool) -> None:
    """Make sure that nothing is there that a restore would mix with.

    Raises:
        BackupRefused: workers are at work, or something is there and may not be thrown away.
    """
    alive = have.ledger.workers()
    if alive:
        raise BackupRefused(
            f"{len(alive)} workers are at work on this Redis, {alive[0].name} among them.",
            hint="Stop them (SIGTERM lets them finish), wait until `phiq workers` lists none, then restore.",
            subject=alive[0].name,
        )
    prefix = have.settings.key_prefix
    collections = have.keep.collections()
    with redis_errors():
        jobs = next(iter(have.client.scan_iter(match=f"{prefix}:job:*", count=1000)), None)
    if not force and (jobs is not None or collections):
        what = "jobs" if jobs is not None else f"the collection {collections[0].collection}"
        raise BackupRefused(
            f"There is something here already: {what}.",
            hint="Restore into a fresh PHIQ_DATA_DIR, or add --force to throw away what is here.",
            subject=str(have.settings.data_dir),
        )
    for kept in collections:
        have.keep.drop(kept)
    redis_dump.wipe(have.client, prefix)


def _contents(have: Servers, reader: Reader, done: Restored, tell: OnProgress) -> None:
    for name, contents, size in reader.each("content"):
        ref = f"sha256:{name.rsplit('/', 1)[1]}"
        if have.payloads.store.put(contents, name, limit=size).ref != ref:
            have.payloads.store.delete(ref)
            raise BackupInvalid(
                f"{name} in the backup is not what its name says.", hint="Take another backup.", subject=name
            )
        done.contents += 1
        tell("content store", done.contents, reader.manifest.contents)


def _documents(keep: Keep, reader: Reader, done: Restored, tell: OnProgress) -> None:
    for name, contents, _ in reader.each("chroma"):
        for step in documents.read(keep, contents, name):
            done.passages += step
            tell("documents", done.passages, reader.manifest.passages)


def _models(settings: Settings, reader: Reader, done: Restored, tell: OnProgress) -> None:
    root = settings.data_dir / "models"
    total = sum(name.startswith("models/") for name in reader.manifest.files)
    for name, contents, _ in reader.each("models"):
        path = root / name.removeprefix("models/")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A link that lies here already could lead the file elsewhere.
            if not path.parent.resolve().is_relative_to(root.resolve()):
                raise BackupRefused(f"{path.parent} leads out of {root}.", hint="Remove the link.", subject=str(path))
            temporary = path.with_name(f".{uuid.uuid4().hex}.unfinished")
            with temporary.open("xb") as out:
                shutil.copyfileobj(contents, out)
            temporary.replace(path)
        done.models += 1
        tell("models", done.models, total)


def _queue(have: Servers, reader: Reader, done: Restored, tell: OnProgress) -> None:
    tell("queue", 0, 0)
    for _, contents, _ in reader.each(manifest.REDIS):
        loaded = redis_dump.load(have.client, have.settings.key_prefix, contents)
        done.keys, done.jobs, done.expired = loaded.keys, loaded.jobs, loaded.expired
    done.released = _release(have)
    tell("queue", done.keys, done.keys)


def _release(have: Servers) -> int:
    """Put the jobs that ran when the backup was made back in line: they lost no attempt, and nobody died of them."""
    scripts = have.ledger.scripts
    client: Any = have.client
    with redis_errors():
        seconds, _ = client.time()
        running: list[str] = client.zrange(scripts.key("leases"), 0, -1)
        for job_id in running:
            client.hset(scripts.key("job", job_id), "lease", (int(seconds) + 3600) * 1000)
    released = 0
    for job_id in running:
        with redis_errors():
            token = client.hget(scripts.key("job", job_id), "token")
        if token:
            answer = scripts.run("settle", job_id, str(token), uuid.uuid4().hex, "released", "", 0, 0)
            released += answer == "queued"
    return released
