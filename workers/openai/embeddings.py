"""/v1/embeddings: its body as an embed job, vectors as its answer."""

from __future__ import annotations

import array
import base64
import sys
from typing import Annotated, Any, Literal

from pydantic import Field

from workers.errors import JobInvalid
from workers.jobs import EmbedJob, JobRecord
from workers.openai import fields
from workers.openai.fields import Body

Text = Annotated[str, Field(min_length=1)]


class EmbeddingRequest(Body):
    """The body. Token numbers are not taken: they would be another tokenizer's."""

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    model: str = Field(default="default", min_length=1, max_length=512, description="the embedder's name, or `default`")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = Field(default=None, description="not supported: the embedder has one length")
    user: str | None = Field(default=None, max_length=512, description="kept in the job's metadata")


def to_job(asked: EmbeddingRequest, embedder: str | None) -> EmbedJob:
    """The job that answers it.

    Args:
        asked: The request.
        embedder: The name of the embedder in use; None: not known here.

    Raises:
        JobInvalid: it names another model.
    """
    if embedder is not None and asked.model not in (embedder, "default"):
        raise JobInvalid(
            f"There is one embedder here, {embedder}; not '{asked.model[:80]}'.",
            hint=f"Send model: {embedder}, or default. PHIQ_EMBEDDER chooses another.",
            param="model",
        )
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    job = fields.build(
        "embed", {"input": {"texts": texts}, **({"metadata": {"user": asked.user}} if asked.user else {})}
    )
    assert isinstance(job, EmbedJob)
    return job


def to_body(record: JobRecord, encoding: str) -> dict[str, Any]:
    """The answer for a job that has succeeded."""
    result = record.result or {}
    asked, _ = fields.usage_of(result)
    vectors = result.get("vectors") or []
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if encoding == "base64" else vector}
        for index, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": data,
        "model": result.get("model") or record.model,
        "usage": {"prompt_tokens": asked, "total_tokens": asked},
        "phiq": {"job": record.id},
    }


def _packed(vector: list[float]) -> str:
    """32-bit floats, little-endian, as the official client unpacks them."""
    packed = array.array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode("ascii")
