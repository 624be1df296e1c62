"""The files that an ingest has written, kept so that its next attempt does only the rest and reports them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.checkpoints import NoCheckpoints
from agents.contract import FileReport, IngestFile

if TYPE_CHECKING:
    from agents.checkpoints import Checkpoints
    from knowledge.sync import SourceReport

_WRITTEN = ("added", "replaced")
"""What a later attempt would call unchanged. The rest it finds out again, at little cost."""


class IngestReports:
    """What became of an ingest's files, those that earlier attempts wrote included.

    Args:
        files: Of the job.
        checkpoints: What earlier attempts kept.

    Attributes:
        todo: The files that are left.
        done: Sources that earlier attempts wrote.
        reports: One a file, as they are done.
    """

    def __init__(self, files: Sequence[IngestFile], checkpoints: Checkpoints | None) -> None:
        self._kept = NoCheckpoints() if checkpoints is None else checkpoints
        # A source that comes twice counts as its last file: which of them was written is not in the report.
        times = Counter(file.source for file in files)
        self._once = {source for source, count in times.items() if count == 1}
        known = {source: text for source in self._once if (text := self._kept.get(_key(source))) is not None}
        self.todo = [file for file in files if file.source not in known]
        self.done = frozenset(known)
        self.reports = [FileReport.model_validate_json(known[file.source]) for file in files if file.source in known]

    def add(self, found: SourceReport) -> None:
        """Take a report, and keep it where it saves work."""
        report = FileReport(
            source=found.source,
            status=found.status,
            passages=found.passages,
            error=found.error.to_dict() if found.error else None,
        )
        if report.status in _WRITTEN and report.source in self._once:
            self._kept.put(_key(report.source), report.model_dump_json())
        self.reports.append(report)


def _key(source: str) -> str:
    return f"file:{source}"
