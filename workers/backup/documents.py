"""Collections as lines of JSON: one about the collection, then its passages by the hundred, vectors as float32."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import IO

from knowledge.keep import Keep, Kept, Page
from workers.backup.errors import BackupInvalid


def write(keep: Keep, kept: Kept, out: IO[bytes]) -> Iterator[int]:
    """Write a collection; yields how many passages each step wrote."""
    _line(out, {"name": kept.name, "about": kept.about, "index": kept.index})
    for page in keep.pages(kept):
        vectors = page.vectors.astype("<f4")
        _line(
            out,
            {
                "ids": page.ids,
                "texts": page.texts,
                "about": page.about,
                "dimensions": int(vectors.shape[1]) if len(page.ids) else 0,
                "vectors": base64.b64encode(vectors.tobytes()).decode(),
            },
        )
        yield len(page.ids)


def read(keep: Keep, source: IO[bytes], name: str) -> Iterator[int]:
    """Write a collection back; yields how many passages each step wrote.

    Raises:
        BackupInvalid: it is not what `write` wrote.
    """
    import numpy as np

    try:
        head = json.loads(source.readline())
        kept = Kept(str(head["name"]), dict(head["about"]), dict(head["index"]))
        if not kept.name.startswith("phiq-"):
            raise ValueError(kept.name[:40])
        keep.make(kept)
        for line in source:
            found = json.loads(line)
            vectors = np.frombuffer(base64.b64decode(found["vectors"], validate=True), dtype="<f4")
            page = Page(found["ids"], found["texts"], found["about"], vectors.reshape(len(found["ids"]), -1))
            keep.put(kept, page)
            yield len(page.ids)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupInvalid(
            f"The collection {name} in the backup is damaged.", hint="Take another backup.", subject=name
        ) from error


def _line(out: IO[bytes], value: object) -> None:
    out.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
