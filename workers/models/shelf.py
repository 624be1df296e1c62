"""The shelf: the models for ONNX Runtime and OpenVINO that lie on this machine.

    <data_dir>/models/NAME/             a pulled or copied model; NAME-ov is a Phi model for OpenVINO
    <data_dir>/models/.manifests/NAME   where a model came from, or, for a linked one, where it lies
    <data_dir>/models/.partial/NAME/    what is still being fetched; never listed

``add`` links by default: weights are gigabytes, the folder stays its owner's, and removing the model from the
shelf then can't delete what the shelf never owned. The link is an entry in the manifest and not a symbolic
link, because ONNX Runtime resolves weight files against the real folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from knowledge.errors import ServiceError
from workers.errors import ModelBroken, ModelNotFound, StorageFull
from workers.models.folder import Form, check_folder, form_of
from workers.models.profiles import lookup

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_OPENVINO = "-ov"
Kind = Literal["pulled", "copied", "linked", "folder"]


@dataclass(frozen=True)
class Manifest:
    """Where a model came from. ``files`` maps each file to its size in bytes and SHA-256 ("" where unknown)."""

    kind: Kind
    path: str = ""
    repo: str = ""
    revision: str = ""
    folder: str = ""
    files: dict[str, tuple[int, str]] | None = None


@dataclass(frozen=True)
class ShelfEntry:
    """A model on the shelf. ``problem`` says why it can't be used, empty when it can; ``size`` is in bytes.

    ``since`` is when it was put there, in seconds since 1970; ``model`` is its name without what tells the form.
    """

    name: str
    path: Path
    kind: Kind
    size: int = 0
    repo: str = ""
    revision: str = ""
    problem: str = ""
    form: Form = "onnx"
    since: float = 0.0

    @property
    def model(self) -> str:
        """The profile's name of a Phi model, else its own."""
        profile = lookup(self.name)
        ours = profile is not None and self.name in (profile.name, profile.name + _OPENVINO)
        return profile.name if profile is not None and ours else self.name

    @property
    def uri(self) -> str:
        """What jobs name it by."""
        return f"{self.form}:{self.model}"


class Shelf:
    """The models under ``data_dir``; makes nothing until something is added."""

    def __init__(self, data_dir: Path) -> None:
        self.root = Path(data_dir).expanduser() / "models"

    def path(self, name: str, form: Form = "onnx") -> Path:
        """The folder of a model.

        Args:
            name: Its name on the shelf, any name of a Phi model, or an absolute path of a folder.
            form: The engine it is for.

        Raises:
            ModelNotFound: with the command that gets it.
            ModelBroken: when the folder is there but not whole.
        """
        if Path(name).is_absolute():
            folder = Path(name)
            if not folder.is_dir():
                raise ModelNotFound(
                    f"There is no model folder {name}.", hint="phiq models add PATH takes a local folder.", subject=name
                )
        else:
            found = self._locate(self.canonical(name, form))
            if found is None:
                raise self._missing(name, form)
            folder = found
        is_form = form_of(folder)
        if is_form is not None and is_form != form:
            raise ModelNotFound(
                f"{name} is a model for {is_form}, not for {form}.", hint=f"Name it {is_form}:{name}", subject=name
            )
        check_folder(folder)
        return folder

    def list(self) -> list[ShelfEntry]:
        """Every model on the shelf by name, broken ones included with their problem."""
        names = {path.name for path in _children(self.root) if path.is_dir() and not _only_weights(path)}
        names |= {path.stem for path in _children(self.root / ".manifests") if path.suffix == ".json"}
        return [entry for name in sorted(names) if _NAME.match(name) and (entry := self._entry(name)) is not None]

    def add(self, path: Path | str, name: str | None = None, *, copy: bool = False) -> ShelfEntry:
        """Put a local folder on the shelf.

        Args:
            path: The folder; it must hold a whole model.
            name: Its name on the shelf; the folder's own name when None.
            copy: Copy the files instead of linking to the folder.

        Raises:
            ModelNotFound: no such folder, or a name that can't be used.
            ModelBroken: when the folder is not a whole model, or the name is taken by another one.
        """
        folder = Path(path).expanduser().resolve()
        if not folder.is_dir():
            raise ModelNotFound(f"There is no folder {path}.", hint="phiq models add PATH", subject=str(path))
        check_folder(folder, deep=True)
        name = self.canonical(name or folder.name, form_of(folder))
        taken = self._locate(name)
        if taken is not None and taken.resolve() != folder:
            raise ModelBroken(
                f"There is a model '{name}' on the shelf already ({taken}).",
                hint=f"phiq models remove {name}, or give another name.",
                subject=name,
            )
        with self._writing():
            if copy:
                staging = self.staging(f"{name}-{uuid.uuid4().hex}")
                try:
                    shutil.copytree(folder, staging)
                    self.publish(staging, name, Manifest(kind="copied", path=str(folder)))
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
            else:
                self._write_manifest(name, Manifest(kind="linked", path=str(folder)))
        entry = self._entry(name)
        if entry is None:  # pragma: no cover - it was just written
            raise self._missing(name)
        return entry

    def remove(self, name: str) -> ShelfEntry:
        """Take a model from the shelf; files the shelf only links to are left alone.

        Raises:
            ModelNotFound: when it is not on the shelf.
        """
        name = self.canonical(name)
        entry = self._entry(name)
        if entry is None:
            raise self._missing(name)
        with self._writing():
            own = self.root / name
            if own.is_symlink():
                own.unlink()  # someone's own link: the link goes, what it points to stays
            elif own.is_dir():
                # Renamed first, so that a half-deleted model is never listed. rmtree does not follow links.
                doomed = self.staging(f"{name}-{uuid.uuid4().hex}")
                own.rename(doomed)
                shutil.rmtree(doomed)
            self._manifest_path(name).unlink(missing_ok=True)
        return entry

    def canonical(self, name: str, form: Form | None = None) -> str:
        """The name a model has on the shelf.

        Args:
            name: Any of its names.
            form: The engine it is for; None goes by the name's end, on which OpenVINO's folders carry an ``-ov``.

        Raises:
            ModelNotFound: for names that are no plain file names (path tricks).
        """
        profile = lookup(name)
        if profile is not None and not self._dropped_in(name, form):
            openvino = name.lower().endswith(_OPENVINO) if form is None else form == "openvino"
            name = profile.name + (_OPENVINO if openvino else "")
        if not _NAME.match(name):
            raise ModelNotFound(
                f"'{name[:80]}' can't be a model's name: letters, digits, '.', '_' and '-' only.",
                hint="phiq models list; a folder elsewhere is put on the shelf with phiq models add PATH.",
                subject=name[:80],
            )
        return name

    def staging(self, name: str) -> Path:
        """A folder's place while it is not whole yet; its parent exists."""
        partial = self.root / ".partial"
        partial.mkdir(parents=True, exist_ok=True)
        return partial / name

    def publish(self, staging: Path, name: str, manifest: Manifest) -> Path:
        """Make a whole folder appear on the shelf in one step, with its manifest."""
        target = self.root / name
        if target.exists():
            old = self.staging(f"{name}-{uuid.uuid4().hex}")
            target.rename(old)
            staging.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            staging.rename(target)
        self._write_manifest(name, manifest)
        return target

    def manifest(self, name: str) -> Manifest | None:
        """What is known of where a model came from."""
        try:
            value: dict[str, Any] = json.loads(self._manifest_path(name).read_text(encoding="utf-8"))
            return Manifest(**value)
        except (OSError, ValueError, TypeError):
            return None

    def _dropped_in(self, name: str, form: Form | None) -> bool:
        """Whether someone put a folder of just this name on the shelf by hand; then it is meant."""
        folder = self.root / name
        return _NAME.match(name) is not None and folder.exists() and form_of(folder) in (form, None, *_any(form))

    def verify(self, name: str, form: Form | None = None) -> None:
        """Read every file of a pulled model again and compare it with what was fetched; others pass.

        Raises:
            ModelBroken: naming the first file that is gone or is not what was fetched.
        """
        name = self.canonical(name, form)
        manifest = self.manifest(name)
        for file, (size, sha) in sorted((manifest.files or {}).items() if manifest is not None else ()):
            path = self.root / name / file
            if not path.is_file():
                what = "is gone"
            elif path.stat().st_size != size or (sha and sha256_of(path) != sha):
                what = "is not what was fetched: it was changed since, or the disk is failing"
            else:
                continue
            again = f"openvino:{name.removesuffix(_OPENVINO)}" if name.endswith(_OPENVINO) else name
            raise ModelBroken(
                f"{file} of the model '{name}' {what}.",
                hint=f"phiq models remove {again}, then: phiq models pull {again}",
                subject=file,
            )

    def digest(self, name: str, form: Form | None = None) -> str:
        """The SHA-256 over the names and hashes of a pulled model's files; empty where they are not known."""
        if Path(name).is_absolute():
            return ""
        manifest = self.manifest(self.canonical(name, form))
        files = manifest.files if manifest is not None else None
        if not files or not all(sha for _, sha in files.values()):
            return ""
        lines = "".join(f"{sha}  {file}\n" for file, (_, sha) in sorted(files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def _entry(self, name: str) -> ShelfEntry | None:
        folder = self._locate(name)
        if folder is None:
            return None
        manifest = self.manifest(name) or Manifest(kind="folder")
        problem = ""
        try:
            check_folder(folder)
        except ModelBroken as error:
            problem = error.message
        form: Form = form_of(folder) or ("openvino" if name.endswith(_OPENVINO) else "onnx")
        return ShelfEntry(
            name,
            folder,
            manifest.kind,
            _size(folder),
            manifest.repo,
            manifest.revision,
            problem,
            form,
            self._since(name, folder),
        )

    def _since(self, name: str, folder: Path) -> float:
        for path in (self._manifest_path(name), folder):
            with contextlib.suppress(OSError):
                return path.stat().st_mtime
        return 0.0

    def _locate(self, name: str) -> Path | None:
        own = self.root / name
        if own.is_dir():
            # A folder without a configuration that nobody registered is not a model, it is something else.
            return own if form_of(own) is not None or self._manifest_path(name).exists() else None
        manifest = self.manifest(name)
        return Path(manifest.path) if manifest is not None and manifest.kind == "linked" else None

    def _manifest_path(self, name: str) -> Path:
        return self.root / ".manifests" / f"{name}.json"

    def _write_manifest(self, name: str, manifest: Manifest) -> None:
        path = self._manifest_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        temporary.write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(
                    f"There is no room for models in {self.root}.",
                    hint="Free some disk space, or set PHIQ_DATA_DIR to a folder on a larger disk.",
                    subject=str(self.root),
                ) from error
            raise ServiceError(
                f"The models' folder {self.root} can't be changed: {error.strerror or error}.",
                hint="Give this user a folder it may write: export PHIQ_DATA_DIR=…",
                subject=str(self.root),
            ) from error

    def _missing(self, name: str, form: Form = "onnx") -> ModelNotFound:
        profile = lookup(name)
        if form == "openvino" and profile is not None:
            known = profile.openvino_repo is not None
            hint = f"phiq models pull openvino:{profile.name}" if known else "phiq models add PATH takes your own."
        elif profile is not None and profile.onnx_repo:
            hint = f"phiq models pull {profile.name}"
        elif profile is not None:
            hint = f"No ONNX build of it is known; phiq models add PATH --name {profile.name} takes your own."
        else:
            hint = "phiq models list"
        return ModelNotFound(f"The model '{name[:80]}' is not on this machine.", hint=hint, subject=name[:80])


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _any(form: Form | None) -> tuple[Form, ...]:
    return ("onnx", "openvino") if form is None else ()


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(parent) / name).stat().st_size
    return total


def _only_weights(folder: Path) -> bool:
    """Whether it holds published weights, which other engines run, and no model of the shelf's."""
    return folder.name.endswith("-weights") and form_of(folder) is None
