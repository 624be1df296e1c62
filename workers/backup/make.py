"""Making a backup: first the queue at one instant, then what it refers to, so that nothing it names is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workers.access.audit import Audit
from workers.backup import documents, manifest, redis_dump
from workers.backup.archive import Writer, spool
from workers.backup.manifest import Manifest
from workers.backup.servers import Servers, servers
from workers.errors import ContentMissing
from workers.keeping_lock import keeping_lock
from workers.ledger.refs import installation
from workers.ledger.scripts import redis_errors
from workers.settings import Settings

OnProgress = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and how much there is (0: unknown)."""


def quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


@dataclass
class Made:
    """A backup that was made. ``held`` is how many seconds writers waited for it."""

    path: Path
    size: int = 0
    held: float = 0.0
    manifest: Manifest | None = None
    notes: list[str] = field(default_factory=list)


def backup(
    settings: Settings,
    target: Path,
    *,
    models: bool = False,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Made:
    """Write the queue, the documents and the content store into one file, whether phiq runs or not.

    Args:
        settings: Of the installation.
        target: The file to make; names ending in ``gz`` are compressed.
        models: Take the models along.
        force: Replace a file that is there.
        on_progress: Told how far it is.

    Raises:
        BackupRefused: the target can't be written.
        BackupFailed: Redis could not be read at one instant.
        KeepingBusy: another backup, or an erase, is under way.
        RedisUnavailable, StoreUnavailable, ContentUnavailable: one of the three does not answer.
        StorageFull: there is no room for it.
    """
    tell = on_progress or quiet
    writer = Writer(target, force=force)
    try:
        # Neither a sweep nor an erase may take away what the queue, as it was read, refers to.
        with servers(settings) as have, keeping_lock(have.client, settings.key_prefix):
            made = Made(target)
            about = Manifest(
                phiq=_version("phiq"),
                redis=_redis_version(have),
                chroma=_version("chromadb"),
                key_prefix=settings.key_prefix,
                created_at=datetime.now(UTC),
                running=bool(have.ledger.workers()),
                models=models,
            )
            installation(have.ledger.scripts)  # so that a restored one has the same name
            _queue(have, writer, about, made, tell)
            _documents(have, writer, about, tell)
            _contents(have, writer, about, made, tell)
            if models:
                _models(settings, writer, made, tell)
            about.notes = made.notes
            writer.finish(about)
            made.manifest = about
            made.size = target.stat().st_size
            Audit(have.client, settings.key_prefix).did("backup", target.name)
            return made
    finally:
        writer.abandon()


def _queue(have: Servers, writer: Writer, about: Manifest, made: Made, tell: OnProgress) -> None:
    tell("queue", 0, 0)
    with spool() as out:
        dumped = redis_dump.dump(
            have.client,
            have.settings.key_prefix,
            out,
            have.settings.lease_seconds / 2,
            busy=lambda: bool(have.ledger.workers()),
        )
        writer.add(manifest.REDIS, out)
    about.keys, about.jobs, made.held = dumped.keys, dumped.jobs, dumped.held
    tell("queue", dumped.keys, dumped.keys)


def _documents(have: Servers, writer: Writer, about: Manifest, tell: OnProgress) -> None:
    """Documents come after the queue: what its finished ingests wrote is there; its unfinished ones run again."""
    for number, kept in enumerate(have.keep.collections()):
        total = len(have.keep.ids(kept))
        done = 0
        with spool() as out:
            for step in documents.write(have.keep, kept, out):
                done += step
                tell(f"collection {kept.collection}", done, total)
            writer.add(f"chroma/{number:04d}.jsonl", out)
        about.passages += done


def _contents(have: Servers, writer: Writer, about: Manifest, made: Made, tell: OnProgress) -> None:
    store = have.payloads.store
    all_of_it = list(store.stored())
    for done, found in enumerate(all_of_it, 1):
        digest = found.ref.removeprefix("sha256:")
        with spool() as out:
            try:
                out.write(store.get(found.ref))
            except ContentMissing:
                made.notes.append(f"content/{digest} is damaged or gone and was left out")
                continue
            writer.add(f"content/{digest[:2]}/{digest}", out)
        about.contents += 1
        tell("content store", done, len(all_of_it))


def _models(settings: Settings, writer: Writer, made: Made, tell: OnProgress) -> None:
    root = settings.data_dir / "models"
    files = sorted(_files(root))
    for done, path in enumerate(files, 1):
        name = f"models/{path.relative_to(root).as_posix()}"
        if path.is_symlink() or not manifest.allowed(name):
            made.notes.append(f"{name[:80]} is a link, or has a name that can't be kept, and was left out")
            continue
        with path.open("rb") as source:
            writer.add(name, source)
        tell("models", done, len(files))


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_symlink() or path.is_file())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "uninstalled"


def _redis_version(have: Servers) -> str:
    with redis_errors():
        return str(have.client.info("server").get("redis_version", ""))
