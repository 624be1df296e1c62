"""Fetching one folder of a repository on the model hub, so that it can be trusted and gone on with.

huggingface_hub lists the files and moves the bytes. Its own downloads start over when the process ended in
between (since 2.0 a partial file's name is random), which is dear at three gigabytes; so the partial files and
their checks are kept here.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from workers.errors import (
    EngineDenied,
    HubUnavailable,
    ModelBroken,
    ModelNotFound,
    ModelTooLarge,
    StorageFull,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Progress = Callable[[int, int, str], None]
MARGIN = 64 * 1024 * 1024
"""Bytes of disk left over after a pull."""
_TIMEOUT = 15.0


@dataclass(frozen=True)
class HubFile:
    """A file as the hub lists it: ``sha256`` for large files, else ``blob``, git's SHA-1 of it."""

    path: str
    name: str
    size: int
    sha256: str
    blob: str


@dataclass(frozen=True)
class HubFolder:
    """A folder at one commit."""

    repo: str
    revision: str
    folder: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class Hub:
    """The model hub.

    Args:
        url: Its address; None is huggingface_hub's own.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url.rstrip("/") if url else None

    def folder(self, repo: str, folder: str, revision: str | None = None) -> HubFolder:
        """List a folder at a commit.

        Args:
            repo: ``owner/name``.
            folder: Path within it, empty for its root.
            revision: Branch, tag or commit; None is the main branch as it is now.

        Raises:
            HubUnavailable: saying how to go on without the hub.
            ModelNotFound, EngineDenied: no such repository or folder; it needs an account that may read it.
        """
        with _border(repo, self._api().endpoint):
            api = self._api()
            commit = api.model_info(repo, revision=revision, timeout=_TIMEOUT).sha
            if not commit:
                raise _unavailable(repo, api.endpoint, "it names no commit")
            entries = list(api.list_repo_tree(repo, folder or None, recursive=True, revision=commit))
        files = []
        for entry in entries:
            size = getattr(entry, "size", None)
            if size is None:
                continue  # a folder
            relative = PurePosixPath(entry.path).relative_to(folder) if folder else PurePosixPath(entry.path)
            if relative.is_absolute() or ".." in relative.parts:
                raise ModelBroken(
                    f"{repo} lists a file outside its folder ({entry.path}).", hint="Don't use it.", subject=repo
                )
            lfs = getattr(entry, "lfs", None)
            files.append(
                HubFile(entry.path, str(relative), size, lfs.sha256 if lfs else "", getattr(entry, "blob_id", ""))
            )
        if not files:
            raise ModelNotFound(f"{repo} has no files in '{folder}'.", hint="phiq models list", subject=repo)
        return HubFolder(repo, commit, folder, tuple(files))

    def fetch(self, source: HubFolder, target: Path, progress: Progress) -> None:
        """Fetch a folder's files into ``target``, going on with what lies there already.

        Args:
            source: What to fetch.
            target: A folder; a file in it that is whole is kept, a partial one continued.
            progress: Called with bytes done and bytes in all, and the file being fetched. What it raises ends
                the fetch and leaves the partial files.

        Raises:
            ModelTooLarge: the disk has no room; nothing is fetched.
            ModelBroken: a file's size or hash is not what the hub says; it is deleted.
            HubUnavailable, EngineDenied, ModelNotFound, StorageFull: as named.
        """
        target.mkdir(parents=True, exist_ok=True)
        _check_disk(source, target)
        done = 0
        for file in source.files:
            path = target / file.name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._fetch_file(source, file, path, partial(_report, progress, done, source.size, file.name))
            done += file.size
            progress(done, source.size, file.name)

    def _fetch_file(self, source: HubFolder, file: HubFile, path: Path, progress: Callable[[int], None]) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils._headers import build_hf_headers

        api = self._api()
        url = hf_hub_url(source.repo, file.path, revision=source.revision, endpoint=api.endpoint)
        part = path.with_name(f"{path.name}.part")
        have = part.stat().st_size if part.exists() else 0
        if have > file.size:
            part.unlink()
            have = 0
        with _border(source.repo, api.endpoint), part.open("ab") as stream:
            # identity: a compressed answer could be neither measured nor gone on with
            headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
            http_get(
                url,
                stream,
                resume_size=have,
                headers=headers,
                expected_size=file.size,
                displayed_filename=file.name,
                tqdm_class=_meter(progress),
            )
        _verify(source, file, part)
        part.replace(path)

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._url)


def _report(progress: Progress, before: int, total: int, name: str, done: int) -> None:
    progress(before + done, total, name)


def _meter(progress: Callable[[int], None]) -> Any:
    """A class with as much of tqdm's form as huggingface_hub uses."""

    class Meter:
        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            self._done = initial
            progress(initial)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: float | None = 1) -> None:
            self._done += int(n or 0)
            progress(self._done)

        def close(self) -> None:
            pass

    return Meter


def _check_disk(source: HubFolder, target: Path) -> None:
    have = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    need = max(0, source.size - have) + MARGIN
    free = shutil.disk_usage(target).free
    if free < need:
        raise ModelTooLarge(
            f"{source.repo} needs {need / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free.",
            hint="Make room, or set PHIQ_DATA_DIR to a larger disk; phiq models remove NAME frees a model's.",
            subject=str(target),
            needed=need,
            free=free,
        )


def _verify(source: HubFolder, file: HubFile, path: Path) -> None:
    size = path.stat().st_size
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {size}\0".encode())  # noqa: S324 - git's name
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if size != file.size or digest.hexdigest() != (file.sha256 or file.blob):
        path.unlink()
        raise ModelBroken(
            f"{file.path} of {source.repo} did not arrive as the hub describes it; it was deleted.",
            hint="Run the pull again; if it stays, the hub or something between is at fault.",
            subject=file.path,
        )


@contextmanager
def _border(repo: str, endpoint: str) -> Iterator[None]:
    """Make what huggingface_hub and the network raise ours."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise EngineDenied(
            f"{repo} is open only to accounts that accepted its terms.",
            hint=f"Accept them at {endpoint}/{repo}, then: hf auth login",
            subject=repo,
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise ModelNotFound(
            f"The hub has no such model or folder in {repo}.", hint="phiq models list", subject=repo
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise EngineDenied(
                f"The hub refuses {repo} (HTTP {status}).",
                hint="hf auth login, with an account that may read it.",
                subject=repo,
            ) from error
        raise _unavailable(repo, endpoint, f"HTTP {status}") from error
    except (httpx2.HTTPError, errors.OfflineModeIsEnabled) as error:
        raise _unavailable(repo, endpoint, str(error) or type(error).__name__) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"The disk is full while fetching {repo}.", hint="Make room and run the pull again.", subject=repo
            ) from error
        if error.errno is None:  # huggingface_hub's own, for a file of the wrong size
            raise _unavailable(repo, endpoint, "a file broke off") from error
        raise


def _unavailable(repo: str, endpoint: str, why: str) -> HubUnavailable:
    return HubUnavailable(
        f"The model hub at {endpoint} can't be reached ({' '.join(why.split())[:200]}).",
        hint=f"Try again later (it goes on where it stopped), or fetch {repo} elsewhere and: phiq models add PATH",
        subject=repo,
    )
