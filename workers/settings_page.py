"""docs/configuration.md, made from the settings: `python -m workers.settings_page docs/configuration.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from workers.settings import Settings

_INTRODUCTION = """\
# Configuration

phiq is configured by environment variables alone; everything has a default that works on one machine. A value that
can't be used is refused at start with the variable's name; a misspelt name is found by `phiq doctor`.

This page is made from `workers/settings.py` by `make docs`; a test keeps them together.
"""

_SECTIONS = (
    (
        "Where things are",
        (
            "data_dir redis_url redis_ca redis_cert redis_key redis_maxmemory chroma_url words_url words_host "
            "content_url key_prefix"
        ),
    ),
    (
        "Jobs",
        (
            "tenant model local_only allow_fake_engine max_job_bytes max_file_bytes max_image_pixels tenant_queued "
            "tenant_running interactive_slots"
        ),
    ),
    (
        "Workers",
        (
            "slots queues worker_name lease_seconds drain_seconds canary_seconds result_ttl dead_ttl stream_bytes "
            "log_level log_format traces"
        ),
    ),
    ("HTTP API", "http_host http_port http_connections require_key cors_origins trusted_proxies"),
    ("Clients", "url api_key"),
    ("Batches", "batch_lines batch_bytes batch_flight batch_ttl batch_roots"),
    ("Webhooks", "webhook_allow webhook_seconds webhook_give_up webhook_disable"),
    ("Websites", "site_allow site_delay site_page_bytes site_bytes site_seconds"),
    ("Content store", "inline_bytes sweep_seconds"),
    (
        "Engines",
        (
            "engine_timeout engine_share engine_waiting engine_idle_seconds engine_ceiling_bytes onnx_threads "
            "onnx_max_length onnx_slots onnx_session_bytes onnx_prefix_bytes onnx_provider onnx_provider_options "
            "openvino_device openvino_threads openvino_max_length openvino_slots openvino_cache "
            "weights_max_length weights_threads ollama_url ollama_context "
            "openai_base_url openai_api_key openai_context hub_url "
            "github_url github_api_key azure_url azure_api_key nvidia_url nvidia_api_key nim_url nim_api_key vllm_url "
            "vllm_api_key llamacpp_url llamacpp_api_key lmstudio_url lmstudio_api_key foundry_url foundry_api_key"
        ),
    ),
    ("Embedding and ranking", "embedder embed_precision reranker"),
)

_NOTES = """\
## One machine

`phiq up` starts what has no address here: with `PHIQ_REDIS_URL` or `PHIQ_CHROMA_URL` set, that server is used and
none is started. Its own Redis listens on loopback only, under a password made anew at each start, and keeps its data
under `PHIQ_DATA_DIR`, together with everything else:

| Folder | What lies there |
|---|---|
| `redis/` | the queue: Redis' append-only file |
| `chroma/` | the documents' passages and vectors |
| `words/` | their word index; may be deleted while nothing runs, it is made anew |
| `models/` | pulled and linked models |
| `content/` | attachments of jobs |
| `logs/` | one file for each part; set aside at 10 MB when the part starts, one older one is kept |
| `run/` | what runs now, its addresses (readable by you only), and the lock against a second start |

Programs on the same machine and under the same user find Redis and Chroma through `run/stack.json`; others need the
two addresses.

## How much Redis may lose

An accepted job is as safe as Redis' append-only file, which `appendfsync` decides:

| `appendfsync` | After Redis or its machine is killed |
|---|---|
| `always` (`phiq up`, compose.yaml) | every acknowledged job is there |
| `everysec` (Redis' own default) | the last second or more is gone; on a slow disk that was thousands of jobs |
| no append-only file | everything since the last snapshot is gone |

`maxmemory-policy` must be `noeviction`, or Redis throws jobs away when memory is short. `phiq doctor` looks at both.
"""


def page() -> str:
    """The whole page.

    Raises:
        ValueError: a setting belongs to no section, or a section names one that is gone.
    """
    listed = [name for _, names in _SECTIONS for name in names.split()]
    if sorted(listed) != sorted(Settings.model_fields):
        odd = set(listed) ^ set(Settings.model_fields)
        raise ValueError(f"settings and sections of this page differ: {', '.join(sorted(odd))}")
    parts = [_INTRODUCTION]
    for title, names in _SECTIONS:
        rows = [_row(name, Settings.model_fields[name]) for name in names.split()]
        parts.append("\n".join([f"## {title}\n", "| Variable | Default | What it is |", "|---|---|---|", *rows]) + "\n")
    return "\n".join([*parts, _NOTES])


def _row(name: str, field: FieldInfo) -> str:
    limits = ", ".join(_limits(field))
    what = (field.description or "") + (f" ({limits})" if limits else "")
    return f"| `PHIQ_{name.upper()}` | {_default(name, field)} | {what.replace('|', chr(92) + '|')} |"


def _default(name: str, field: FieldInfo) -> str:
    if name == "data_dir":
        return "your system's folder for data, such as `~/.local/share/phiq`"
    value: Any = field.default
    if value is None or value is PydanticUndefined:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`"


def _limits(field: FieldInfo) -> Iterator[str]:
    for part in (field.annotation, *get_args(field.annotation)):
        if get_origin(part) is Literal:
            yield "one of " + ", ".join(f"`{choice}`" for choice in get_args(part))
        if part is SecretStr:
            yield "never shown"
    for limit in field.metadata:
        if isinstance(limit, Ge):
            yield f"at least {limit.ge:g}" if isinstance(limit.ge, float) else f"at least {limit.ge}"
        elif isinstance(limit, Gt):
            yield f"more than {limit.gt}"
        elif isinstance(limit, Le):
            yield f"at most {limit.le}"
        elif pattern := getattr(limit, "pattern", None):
            yield f"form `{re.sub(r'[|]', chr(92) + '|', str(pattern))}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
