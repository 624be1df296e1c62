"""Getting a model onto this machine, and off it again: from the hub, or through Ollama for its own."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from agents.errors import Interrupted
from workers.errors import ModelBroken, ModelNotFound, PullRunning
from workers.models.folder import Form, check_folder, form_of
from workers.models.hub import Hub, HubFolder
from workers.models.profiles import lookup
from workers.models.shelf import Manifest, Shelf, sha256_of
from workers.settings import Settings

Progress = Callable[[int, int, str], None]
_REPO = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<folder>[\w./-]*[\w.-]))?(?:@(?P<revision>[\w.-]+))?\Z")

_OPENVINO = re.compile(r"/[^/:]*-ov(@|\Z)", re.IGNORECASE)
"""How OpenVINO's makers end the names of their repositories."""


@dataclass(frozen=True)
class Pulled:
    """What a pull brought. ``path`` is None for Ollama's; ``fetched`` is False when it was here already."""

    uri: str
    path: Path | None
    revision: str = ""
    size: int = 0
    fetched: bool = True


@dataclass(frozen=True)
class _Source:
    name: str
    repo: str
    folder: str
    revision: str | None = None
    form: Form = "onnx"
    kept: str = ""
    """Its name on the shelf."""


def pull(
    name: str, settings: Settings, progress: Progress | None = None, stop: threading.Event | None = None
) -> Pulled:
    """Get a model.

    Args:
        name: ``phi-3.5-mini`` or any other name of a Phi model, with or without ``onnx:``, or with ``openvino:``;
            ``owner/repository/folder@revision`` of the hub; or ``ollama:NAME``.
        settings: Where models lie, the hub's and Ollama's addresses.
        progress: Called with bytes done, bytes in all (0: unknown), and what is being fetched.
        stop: Ends the pull; what was fetched is kept, and the next pull goes on from there.

    Raises:
        ModelNotFound: an unknown name, or no build for this machine's provider.
        OptionUnsupported: a model that the ONNX engine can't run.
        PullRunning: another process is at it.
        Interrupted: ``stop`` was set.
        HubUnavailable, EngineDenied, ModelTooLarge, ModelBroken, StorageFull: from the hub; ModelBroken too when a
            model that is here already was changed since it was fetched.
        EngineDown, EngineTimeout, EngineProtocolError: from Ollama.
    """
    stop = stop or threading.Event()

    def report(done: int, total: int, what: str) -> None:
        if stop.is_set():
            raise Interrupted
        if progress is not None:
            progress(done, total, what)

    if name.startswith("ollama:"):
        from workers.engines.ollama_api import OllamaAPI

        model = name.removeprefix("ollama:")
        OllamaAPI(settings.ollama_url, settings.engine_timeout, name).pull(model, report, stop)
        return Pulled(uri=name, path=None)
    shelf = Shelf(settings.data_dir)
    if name.startswith("openvino:") or _OPENVINO.search(name):
        source = _openvino_source(name.removeprefix("openvino:"))
    else:
        source = _source(name.removeprefix("onnx:"), settings.onnx_provider)
    source = replace(source, kept=shelf.canonical(source.name, source.form))
    return _pull_folder(source, shelf, Hub(settings.hub_url), report)


def remove(name: str, settings: Settings) -> None:
    """Remove a model from the shelf (``NAME``) or from Ollama (``ollama:NAME``).

    Raises:
        ModelNotFound: when it is not there.
        EngineDown, EngineTimeout, EngineProtocolError: from Ollama.
    """
    if name.startswith("ollama:"):
        from workers.engines.ollama_api import OllamaAPI

        model = name.removeprefix("ollama:")
        OllamaAPI(settings.ollama_url, settings.engine_timeout, name).delete(model, threading.Event())
        return
    form, _, plain = name.rpartition(":")
    shelf = Shelf(settings.data_dir)
    shelf.remove(shelf.canonical(plain, "openvino") if form == "openvino" else name.removeprefix("onnx:"))


def _source(name: str, provider: str) -> _Source:
    profile = lookup(name)
    match = _REPO.match(name)
    if profile is None and match is not None and ".." not in name:
        repo = match["repo"]
        own = re.sub(r"(?i)-onnx$", "", repo.split("/")[1]).lower()
        return _Source(own, repo, match["folder"] or "", match["revision"])
    if profile is None:
        raise ModelNotFound(
            f"'{name[:80]}' is no model that phiq knows how to get.",
            hint="phiq models list names those of the Phi family; ollama:NAME pulls one through Ollama, "
            "OWNER/REPOSITORY/FOLDER one from the hub.",
            subject=name[:80],
        )
    if profile.onnx_repo is None or profile.onnx_folder is None:
        other = (
            f"phiq models pull ollama:{profile.ollama}" if profile.ollama else "phiq models add PATH takes your own."
        )
        raise ModelNotFound(f"No ONNX build of {profile.title} is known.", hint=other, subject=profile.name)
    if profile.onnx_provider != provider:
        raise ModelNotFound(
            f"The known ONNX build of {profile.title} needs {profile.onnx_provider}; PHIQ_ONNX_PROVIDER is {provider}.",
            hint=f"Set PHIQ_ONNX_PROVIDER={profile.onnx_provider} if there is such a device, or choose another model.",
            subject=profile.name,
        )
    return _Source(profile.name, profile.onnx_repo, profile.onnx_folder)


def _openvino_source(name: str) -> _Source:
    profile = lookup(name)
    match = _REPO.match(name)
    if match is not None and ".." not in name:
        own = match["repo"].split("/")[1].lower()
        return _Source(own, match["repo"], match["folder"] or "", match["revision"], "openvino")
    if profile is None or profile.openvino_repo is None:
        title = profile.title if profile is not None else f"'{name[:80]}'"
        raise ModelNotFound(
            f"No OpenVINO build of {title} is known.",
            hint="openvino:OWNER/REPOSITORY pulls one from the hub; phiq models add PATH takes your own.",
            subject=name[:80],
        )
    return _Source(profile.name, profile.openvino_repo, "", None, "openvino")


def _pull_folder(source: _Source, shelf: Shelf, hub: Hub, progress: Progress) -> Pulled:
    lock = FileLock(shelf.staging(f"{source.kept}.lock"))
    try:
        with lock.acquire(timeout=0):
            return _pull_locked(source, shelf, hub, progress)
    except Timeout as error:
        raise PullRunning(
            f"{source.kept} is being pulled already.",
            hint="Wait for it; phiq models list shows it.",
            subject=source.kept,
        ) from error


def _pull_locked(source: _Source, shelf: Shelf, hub: Hub, progress: Progress) -> Pulled:
    found = hub.folder(source.repo, source.folder, source.revision)
    uri = f"{source.form}:{source.name}"
    here = shelf.manifest(source.kept)
    if here is not None and (here.repo, here.revision, here.folder) == (found.repo, found.revision, found.folder):
        shelf.verify(source.kept)
        path = shelf.path(source.kept, source.form)
        return Pulled(uri, path, found.revision, found.size, fetched=False)
    # The commit is in the name: files of two versions never meet in one folder.
    staging = shelf.staging(f"{source.kept}@{found.revision[:12]}")
    _drop_older(staging, source.kept)
    hub.fetch(found, staging, progress)
    check_folder(staging, deep=True)
    if form_of(staging) != source.form:
        raise ModelBroken(
            f"{source.repo} holds no model for {source.form}.",
            hint="Pull it by the name of its engine: openvino:OWNER/REPOSITORY or onnx:OWNER/REPOSITORY/FOLDER.",
            subject=source.repo,
        )
    path = shelf.publish(staging, source.kept, _manifest(found, staging))
    return Pulled(uri, path, found.revision, found.size)


def _drop_older(staging: Path, name: str) -> None:
    for old in staging.parent.glob(f"{name}@*"):
        if old != staging:
            shutil.rmtree(old, ignore_errors=True)


def _manifest(found: HubFolder, folder: Path) -> Manifest:
    # The hub gives the SHA-256 of large files only; small ones were checked by git's name and are read once more.
    return Manifest(
        kind="pulled",
        repo=found.repo,
        revision=found.revision,
        folder=found.folder,
        files={file.name: (file.size, file.sha256 or sha256_of(folder / file.name)) for file in found.files},
    )
