"""What `phiq schedule add` was asked for, as a schedule."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.cli.options import GENERATION
from gateway.cli.schedule import RULES, TIMES
from gateway.cli.task_options import TASK, task_input
from gateway.errors import InputMissing, UsageInvalid
from workers.errors import JobInvalid
from workers.schedules.records import ScheduleSpec, parse

_WEBHOOK = "webhook"


def build(
    given: Mapping[str, Any],
    *,
    task: str | None,
    inputs: list[str],
    to: str | None,
    job: str | None,
    here: bool = True,
) -> ScheduleSpec:
    """The schedule that the options describe.

    Args:
        given: Those of time, input, rules and generation.
        task: What to do to each document.
        inputs: The documents.
        to: Where the results go.
        job: Instead of the three: a job.
        here: Whether paths are those of this machine; else they are meant where phiq runs.

    Raises:
        UsageInvalid: options that don't go together.
        InputMissing: a folder or file that is not there.
        JobInvalid: the job is no JSON object.
        ScheduleInvalid: it can't be.
    """
    spec: dict[str, Any] = {name: given[name] for name in (*TIMES, *RULES) if given[name] is not None}
    if to is not None and to.partition(":")[0] == _WEBHOOK:
        spec["webhook"] = to.partition(":")[2]
        if not spec["webhook"]:
            raise UsageInvalid("Which webhook is meant?", hint="--to webhook:NAME; phiq webhook list")
        to = None
    if (job is None) == (task is None):
        raise UsageInvalid("Give either --task with --input, or --job.", hint="phiq schedule add --help")
    if job is not None:
        if inputs or to is not None or any(given[name] not in (None, []) for name in (*TASK, *GENERATION)):
            raise UsageInvalid(
                "With --job everything about the work stands in the job.", hint="--to webhook:NAME is allowed."
            )
        spec["job"] = _job(job)
    else:
        if not inputs:
            raise InputMissing("Which documents?", hint="--input FOLDER")
        spec["batch"] = {"paths": [_path(one) if here else one for one in inputs], "task": _task(str(task), given)}
        if to is not None:
            spec["batch"]["to"] = str(Path(to).absolute()) if here else to
    return parse(ScheduleSpec, spec)


def _task(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        ("top_k" if name == "sample_top_k" else name): given[name]
        for name in GENERATION
        if name != "model" and given[name] not in (None, [])
    }
    made: dict[str, Any] = {"kind": kind, "input": task_input(given)}
    if given["model"] is not None:
        made["model"] = given["model"]
    return {**made, "options": options} if options else made


def _path(text: str) -> str:
    path = Path(text).absolute()
    if not any(sign in text for sign in "*?[") and not path.exists():
        raise InputMissing(f"{text} is not there.", hint="Check the path.", subject=text)
    return str(path)


def _job(text: str) -> dict[str, Any]:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif not text.lstrip().startswith("{"):
            text = Path(text).read_text("utf-8")
        found = json.loads(text)
    except OSError as error:
        raise InputMissing(f"{text} can't be read: {error.strerror}.", hint="Check the path.", subject=text) from error
    except ValueError as error:
        raise JobInvalid(f"The job is not JSON: {error}.", hint="Give one JSON object.") from error
    if not isinstance(found, dict):
        raise JobInvalid("The job is not a JSON object.", hint="See docs/jobs.md for the fields of each kind.")
    return found
