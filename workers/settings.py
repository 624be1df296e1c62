"""The settings: the only place that reads the environment.

Everything below takes small frozen objects cut from here, so that it can be run and tested alone.
docs/configuration.md is made from these descriptions.
"""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.errors import SettingsInvalid

# Customers' words stay here: LangChain would send traces to LangSmith when one of these is set somewhere.
for _name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
    os.environ[_name] = "false"
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


class Settings(BaseSettings):
    """phiq's settings; each is the environment variable PHIQ_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="PHIQ_", extra="ignore", frozen=True)

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("phiq"),
        description="where models, documents, the queue and the content store of one machine lie",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="redis://, rediss:// or sentinel:// address (see operations.md); empty: that of `phiq up` here",
    )
    redis_ca: str | None = Field(
        default=None, description="file of the authority that signed Redis' certificate; empty: the system's"
    )
    redis_cert: str | None = Field(default=None, description="file of our own certificate, where Redis asks for one")
    redis_key: str | None = Field(default=None, description="file of its key")
    redis_maxmemory: str = Field(
        default="2gb",
        pattern=r"^(?i:[1-9][0-9]*(kb|mb|gb)?|0)$",
        description="memory at which the Redis of `phiq up` takes no more jobs, in bytes or kb, mb, gb; 0: no bound",
    )
    chroma_url: str | None = Field(
        default=None, description="http address of Chroma's server; empty: the one that `phiq up` started here"
    )
    content_url: str | None = Field(
        default=None, description="where attachments lie, as an fsspec address; empty: a folder in data_dir"
    )
    key_prefix: str = Field(default="phiq", pattern=r"^[A-Za-z0-9_.-]{1,32}$", description="before every Redis key")
    tenant: str = Field(default="default", description="whose jobs the command line submits")
    model: str = Field(default="extractive", description="engine URI for jobs that name none; auto: what is best here")
    local_only: bool = Field(default=True, description="refuse engines that would send words off this machine")
    allow_fake_engine: bool = Field(default=False, description="let tests and load tests use the fake engine")

    slots: int = Field(default=8, ge=1, le=256, description="jobs a worker runs at once")
    queues: str = Field(default="core,generate,vision", description="capabilities a worker serves")
    worker_name: str | None = Field(default=None, description="a worker's name; empty: host and process id")
    lease_seconds: float = Field(default=9.0, gt=0.2, description="a worker that is silent this long loses its jobs")
    canary_seconds: float = Field(
        default=15.0, gt=0.1, description="a worker that hears nothing for so long sends itself a message"
    )
    drain_seconds: float = Field(default=30.0, ge=0, description="time running jobs get after SIGTERM")
    result_ttl: float = Field(default=7 * 86400, gt=0, description="seconds a finished job and its stream are kept")
    sweep_seconds: float = Field(
        default=3600.0, gt=0, description="how often the content store is looked through for what no job needs"
    )
    dead_ttl: float = Field(default=30 * 86400, gt=0, description="seconds a dead letter is kept")
    stream_bytes: int = Field(default=4_000_000, ge=10_000, description="bound of one job's stream")
    max_job_bytes: int = Field(default=8_000_000, ge=1000, description="largest job, as JSON")
    inline_bytes: int = Field(
        default=65_536, ge=0, description="a job or result larger than this, as JSON, lies in the content store"
    )
    max_file_bytes: int = Field(default=100_000_000, ge=1000, description="largest document or picture")
    max_image_pixels: int = Field(default=40_000_000, ge=1000, description="largest picture, in pixels")

    batch_lines: int = Field(default=50_000, ge=1, le=1_000_000, description="lines of a batch")
    batch_bytes: int = Field(default=200_000_000, ge=1000, description="largest input file of a batch")
    batch_flight: int = Field(default=256, ge=1, le=10_000, description="jobs a batch has in line or running at once")
    batch_roots: str = Field(
        default="",
        description="folders whose documents schedules over HTTP may read and write, with : between; empty: none",
    )
    batch_ttl: float = Field(
        default=30 * 86400, gt=0, description="seconds a batch that has ended, and a file, are kept"
    )

    tenant_queued: int = Field(
        default=0, ge=0, description="jobs a tenant may have waiting, unless it has a limit of its own; 0: no limit"
    )
    tenant_running: int = Field(
        default=0, ge=0, description="jobs a tenant may have running, unless it has a limit of its own; 0: no limit"
    )
    interactive_slots: int = Field(
        default=1, ge=0, description="slots of a capability that batch jobs leave free, though never all of them"
    )

    onnx_threads: int = Field(default=0, ge=0, description="threads of the ONNX engine; 0: the machine's cores")
    onnx_max_length: int = Field(default=4096, ge=64, description="tokens of a session (prompt and answer)")
    onnx_slots: int = Field(default=8, ge=1, le=256, description="jobs that share a model of the ONNX engine at once")
    onnx_session_bytes: int = Field(
        default=0, ge=0, description="memory for all its sessions together; 0: what its slots need, where that is free"
    )
    onnx_prefix_bytes: int | None = Field(
        default=None,
        ge=0,
        description="memory for what it read before (system prompts, documents, conversations); 0: none; empty: as "
        "much as a session, where that is free",
    )
    onnx_provider: str = Field(default="cpu", description="execution provider: cpu, cuda, dml, qnn, webgpu")
    onnx_provider_options: dict[str, str] = Field(
        default_factory=dict, description="its options, as a JSON object of texts"
    )
    openvino_device: str = Field(default="cpu", description="device of the OpenVINO engine: cpu, gpu, gpu.1")
    openvino_threads: int = Field(default=0, ge=0, description="its threads; 0: the machine's cores")
    openvino_max_length: int = Field(default=4096, ge=64, description="tokens of one of its sessions")
    openvino_slots: int = Field(default=16, ge=1, le=256, description="most runs in one of its steps")
    openvino_cache: int = Field(
        default=0, ge=0, le=1024, description="GiB for its sessions and kept prefixes; 0: what its slots need"
    )
    weights_max_length: int = Field(default=4096, ge=64, description="tokens of a session of transformers and mlx")
    weights_threads: int = Field(default=0, ge=0, description="threads of transformers; 0: the machine's cores")
    ollama_url: str = Field(default="http://127.0.0.1:11434", description="Ollama's address")
    ollama_context: int = Field(default=4096, ge=256, description="context length asked of Ollama, always explicit")
    openai_base_url: str | None = Field(default=None, description="address of an OpenAI-compatible server")
    openai_api_key: SecretStr | None = Field(default=None, description="its key")
    openai_context: int = Field(default=4096, ge=256, description="context length of that server's model")
    github_url: str | None = Field(default=None, description="address of GitHub Models; empty: its usual one")
    github_api_key: SecretStr | None = Field(default=None, description="key of GitHub Models")
    azure_url: str | None = Field(
        default=None, description="address of Azure AI Foundry, such as https://NAME.services.ai.azure.com/openai/v1"
    )
    azure_api_key: SecretStr | None = Field(default=None, description="key of Azure AI Foundry")
    nvidia_url: str | None = Field(default=None, description="address of NVIDIA's cloud; empty: its usual one")
    nvidia_api_key: SecretStr | None = Field(default=None, description="key of NVIDIA's cloud")
    nim_url: str | None = Field(default=None, description="address of a NIM of your own; empty: its usual one")
    nim_api_key: SecretStr | None = Field(default=None, description="key of a NIM of your own")
    vllm_url: str | None = Field(default=None, description="address of vLLM; empty: its usual one")
    vllm_api_key: SecretStr | None = Field(default=None, description="key of vLLM")
    llamacpp_url: str | None = Field(default=None, description="address of llama.cpp's server; empty: its usual one")
    llamacpp_api_key: SecretStr | None = Field(default=None, description="key of llama.cpp's server")
    lmstudio_url: str | None = Field(default=None, description="address of LM Studio; empty: its usual one")
    lmstudio_api_key: SecretStr | None = Field(default=None, description="key of LM Studio")
    foundry_url: str | None = Field(default=None, description="address of Foundry Local; empty: its usual one")
    foundry_api_key: SecretStr | None = Field(default=None, description="key of Foundry Local")
    engine_share: Literal["on", "join", "off"] = Field(
        default="on",
        description="workers with the same data folder on a machine share one copy of a hosted model; join: use "
        "another's, let nobody use one's own; off: a copy each",
    )
    engine_waiting: int = Field(default=64, ge=0, description="runs that may wait for a hosted model's slot")
    engine_idle_seconds: float = Field(
        default=0.0, ge=0, description="seconds without a run after which a hosted model is unloaded; 0: never"
    )
    engine_ceiling_bytes: int = Field(
        default=0,
        ge=0,
        description="a model's process larger than this is replaced between runs; 0: twice what it should take",
    )
    engine_timeout: float = Field(default=120.0, gt=0, description="seconds without a token before giving up")
    hub_url: str | None = Field(default=None, description="address of the model hub; empty: huggingface_hub's own")

    words_url: SecretStr | None = Field(
        default=None,
        description="address of the word index, http://:SECRET@HOST:PORT; empty: the one that `phiq up` starts",
    )
    words_host: str = Field(default="127.0.0.1", description="address that `python -m workers words` listens on")
    embedder: str = Field(
        default="all-MiniLM-L6-v2", description="embedding model: this name, or a folder that holds it"
    )
    embed_precision: Literal["int8", "f32"] = Field(default="int8", description="precision of the embedder")
    reranker: str | None = Field(
        default=None,
        description="folder of a cross-encoder (model.onnx, tokenizer.json) that puts found passages into order",
    )
    http_host: str = Field(default="127.0.0.1", description="address the HTTP API listens on")
    http_connections: int = Field(
        default=2000, ge=10, description="connections a gateway serves at once; to more it answers 503"
    )
    http_port: int = Field(
        default=8420, ge=1, le=65535, description="its port; `phiq up` takes a free one when it is taken"
    )
    webhook_allow: str = Field(
        default="",
        description="where webhooks may go beyond public https addresses: 10.0.0.0/8,crm.internal,localhost:9000",
    )
    webhook_seconds: float = Field(default=15.0, gt=0, le=300, description="in which an endpoint must have answered")
    webhook_give_up: float = Field(
        default=86400.0, gt=0, description="seconds after which a delivery that keeps failing is a dead letter"
    )
    webhook_disable: float = Field(
        default=3 * 86400.0, gt=0, description="an endpoint that fails for so many seconds without a break is disabled"
    )
    site_allow: str = Field(
        default="",
        description="websites that may be ingested beyond public addresses: 10.0.0.0/8,wiki.internal,localhost:9000",
    )
    site_delay: float = Field(default=0.5, ge=0, le=60, description="seconds between two requests to a website")
    site_page_bytes: int = Field(default=20_000_000, ge=1000, description="largest page of a website, unpacked")
    site_bytes: int = Field(default=2_000_000_000, ge=1000, description="of all pages of a website in one visit")
    site_seconds: float = Field(default=6 * 3600.0, gt=0, description="time that a visit to a website may take")
    require_key: bool = Field(default=False, description="ask for an API key on loopback too, as beyond it")
    cors_origins: str = Field(
        default="", description="origins whose pages may use the HTTP API, with spaces between: https://app.example"
    )
    trusted_proxies: str = Field(
        default="", description="addresses or networks of proxies whose X-Forwarded-For is believed; empty: nobody's"
    )
    url: str | None = Field(
        default=None,
        description="for clients: address of the HTTP API, such as https://phiq.example.org; empty: as on one machine",
    )
    api_key: SecretStr | None = Field(default=None, description="for clients: the key they show the HTTP API")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="how much is logged")
    log_format: Literal["text", "json"] = Field(default="text", description="json: an object a line, for machines")
    traces: str | None = Field(
        default=None,
        pattern=r"^(off|https?://\S+)$",
        description=(
            "OTLP/HTTP address that traces go to (needs the extra otel), or off; empty: OTEL_EXPORTER_OTLP_ENDPOINT"
        ),
    )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once.

    Raises:
        SettingsInvalid: naming the variable and what is wrong with it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "PHIQ_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsInvalid(
            f"{name} can't be used: {first['msg']}.",
            hint=f"Mend or unset {name}; `phiq doctor` shows every setting.",
            subject=name,
        ) from error


def child_environment(settings: Settings, **given: str) -> dict[str, str]:
    """The environment for a process of ours that must see exactly these settings.

    Args:
        settings: Passed on as far as they were set, whether by variable or in code.
        given: More of them by name (``redis_url="…"``); they win.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PHIQ_")}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            environment[f"PHIQ_{name.upper()}"] = str(plain)
    return environment | {f"PHIQ_{name.upper()}": value for name, value in given.items()}


def traces_address(settings: Settings) -> str | None:
    """Where traces go, as OTLP/HTTP's base address; None: there are none."""
    if settings.traces == "off":
        return None
    return settings.traces or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None


def set_variables() -> list[str]:
    """The names of our settings that the environment sets."""
    known = {f"PHIQ_{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper() in known)


def unknown_variables() -> dict[str, str]:
    """Variables that look like ours and are none, with the setting that may be meant (or nothing)."""
    known = [f"PHIQ_{name.upper()}" for name in Settings.model_fields]
    strange = sorted(name for name in os.environ if name.startswith("PHIQ_") and name.upper() not in known)
    return {name: next(iter(difflib.get_close_matches(name.upper(), known, 1)), "") for name in strange}
