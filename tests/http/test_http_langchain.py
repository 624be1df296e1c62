"""LangChain's standard suite for chat models, unchanged, with ChatOpenAI against a real gateway and worker."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, ClassVar

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

_TEXT_ONLY = "Of OpenAI's parts this route takes text and pictures; others are refused by name."
_ADDRESSES = "LangChain's test fetches its picture from the internet; test_http_openai.py sends one."


def _run_async_tests(suite: type) -> type:
    """Mark the suite's coroutines, which pytest-asyncio leaves alone else."""
    for _, function in inspect.getmembers(suite, inspect.iscoroutinefunction):
        pytest.mark.asyncio(function)
    return suite


@pytest.mark.service
@pytest.mark.filterwarnings(
    # Both are ChatOpenAI's own words about its own doings.
    "ignore:Received a Pydantic BaseModel V1 schema:UserWarning",
    "ignore:Pydantic serializer warnings:UserWarning",
    "ignore:Benchmark fixture was not used:pytest_benchmark.logger.PytestBenchmarkWarning",
)
@_run_async_tests
class TestChatOpenAI(ChatModelIntegrationTests):
    """On the fake engine, which calls tools and fills forms by their schemas: what is tried is what lies between."""

    url: ClassVar[str] = ""
    clients: ClassVar[tuple[httpx.Client, httpx.AsyncClient]]
    skip_reasons: ClassVar[dict[str, str]] = {
        "Model does not support image message.": _ADDRESSES,
        "Model does not support image tool message.": "A tool's answer is text here; others are refused by name.",
        "Model does not support audio inputs.": _TEXT_ONLY,
        "Model does not support PDF inputs.": _TEXT_ONLY,
        "Model does not support PDF tool message.": _TEXT_ONLY,
        "Model does not explicitly support Anthropic inputs.": "Another maker's message format.",
        "VCR not set up.": "Nothing is recorded: the server runs here.",
    }

    @pytest.fixture(autouse=True)
    def _address(self, gateway, worker):
        type(self).url = f"{gateway.url}/v1"
        # ChatOpenAI's own clients are never closed. Each test has a loop of its own: no connection may outlive it.
        limits = httpx.Limits(max_keepalive_connections=0)
        clients = httpx.Client(limits=limits, timeout=60), httpx.AsyncClient(limits=limits, timeout=60)
        type(self).clients = clients
        yield
        clients[0].close()
        asyncio.run(clients[1].aclose())

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "base_url": self.url,
            "api_key": "none",
            "model": "fake:tools",
            "max_retries": 0,
            "http_client": self.clients[0],
            "http_async_client": self.clients[1],
            "stream_usage": True,  # off by default where base_url is not OpenAI's
        }

    @property
    def model_override_value(self) -> str:
        return "fake:echo"

    @property
    def supports_json_mode(self) -> bool:
        return True
