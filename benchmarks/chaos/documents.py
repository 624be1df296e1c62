"""What Chroma holds in the end, asked of Chroma itself."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from benchmarks.chaos.mix import COLLECTION
from benchmarks.chaos.transcript import Transcript


def look_up(url: str, jobs: Iterable[Transcript]) -> None:
    """Note for each ingest that succeeded which passages of its document are there."""
    import chromadb
    from chromadb.config import Settings

    from knowledge.store import chroma_name

    address = urlsplit(url)
    client = chromadb.HttpClient(
        address.hostname or "", address.port or 0, settings=Settings(anonymized_telemetry=False)
    )
    for job in jobs:
        if job.plan.document is None or job.end is None or job.end.state != "succeeded":
            continue
        collection = client.get_collection(chroma_name(job.plan.tenant, COLLECTION))
        found = collection.get(where={"source": f"chaos/{job.plan.document[0]}"}, include=["documents"])
        job.passages = list(found["documents"] or [])
