"""Starting a batch from the command line: a file of lines as it stands, or documents with a task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.task_options import TASK, task_input
from gateway.errors import UsageInvalid

if TYPE_CHECKING:
    from gateway.client import Client
    from workers.batches.records import BatchRecord
    from workers.batches.spec import TaskKind


def of_lines(client: Client, paths: Sequence[str], shared: Mapping[str, Any], seconds: float, name: str) -> BatchRecord:
    """Start a batch over a file of lines.

    Raises:
        UsageInvalid: there is more than one, or options that only documents have.
        DocumentUnreadable: it can't be read.
    """
    from knowledge.errors import DocumentUnreadable

    path = Path(paths[0])
    for option, value in shared.items():
        if value not in (None, []) and option != "model":
            raise UsageInvalid(
                f"--{option.replace('_', '-')} needs --task.", hint="phiq batch run FOLDER --task summarize"
            )
    if len(paths) > 1 or path.is_dir() or any(sign in paths[0] for sign in "*?["):
        raise UsageInvalid(
            "Say what is to be done to the documents.",
            hint=f"phiq batch run {paths[0]} --task summarize -o results.csv",
        )
    batches, tenant = client.service.batches, client.settings.tenant
    try:
        with path.open("rb") as stream:
            endpoint = _endpoint(stream.readline(1 << 20))
            stream.seek(0)
            file = batches.files.put(stream, path.name, tenant)
    except OSError as error:
        raise DocumentUnreadable(
            f"{path} can't be read: {error.strerror}.", hint="Check the path and its permissions.", subject=str(path)
        ) from error
    return batches.create(
        tenant, file.id, expires_in=seconds, endpoint=endpoint, model=shared.get("model"), name=name or path.name
    )


def of_documents(
    client: Client,
    paths: Sequence[str],
    kind: TaskKind,
    shared: Mapping[str, Any],
    *,
    out: Path | None,
    form: Any,
    seconds: float,
    name: str,
    again: bool,
) -> BatchRecord:
    """Start a batch over documents.

    Raises:
        PhiqError: as `workers.batches.start`.
    """
    from workers.batches import BatchSpec, TaskSpec, start

    given = task_input(shared)
    options = {
        ("top_k" if option == "sample_top_k" else option): value
        for option, value in shared.items()
        if option not in TASK and option != "model" and value is not None
    }
    task = TaskSpec.model_validate({"kind": kind, "input": given, "model": shared.get("model"), "options": options})
    if again and out is not None:
        from workers.batches.manifest import Manifest

        Manifest(out.absolute()).path.unlink(missing_ok=True)
    spec = BatchSpec(
        tenant=client.settings.tenant,
        name=name,
        paths=list(paths),
        task=task,
        to=None if out is None else str(out),
        format=form,
        expires_in=seconds,
    )
    return start(client.service, spec, deliver=False, settings=client.settings)


def _endpoint(line: bytes) -> str | None:
    """What the first line says its batch is for; what can't be read is told by the batch."""
    try:
        found = json.loads(line)
        url = found.get("url")
    except (ValueError, AttributeError, RecursionError):
        return None
    return url[:256] if isinstance(url, str) else None
