"""LangChain's own test suites for chat models, on the tiny model."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from workers.engines.base import EngineURI
from workers.engines.hosted.chat import HostedChatModel
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder


def _run_async_tests(suite: type) -> type:
    """The suites' coroutines carry no mark, and the project's pytest-asyncio runs only marked ones."""
    for name, function in inspect.getmembers(suite, inspect.iscoroutinefunction):
        if name.startswith("test_"):
            pytest.mark.asyncio(function)
    return suite


_NO_TOOLS = "The tiny model's template has no place for tools; TestOnnxTools runs these on one that has."
_TEXT_ONLY = "The onnx engine runs text models only; pictures and files are refused by name."
_ONE_MODEL = "An engine is one model; another model is another engine, chosen by its URI."


class _Common:
    engine: ClassVar[OnnxEngine]
    skip_reasons: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("Test requires tool calling.", "Test requires tool calling support.", "Test requires tool choice."),
            _NO_TOOLS,
        ),
        "Test requires structured output.": f"LangChain builds it on tool calls. {_NO_TOOLS}",
        "Test requires json mode support.": "LangChain's base class has no JSON mode; response_format is tested apart.",
        "Model override not supported.": _ONE_MODEL,
        "Model does not support image message.": _TEXT_ONLY,
        "Model does not support audio inputs.": _TEXT_ONLY,
        "Model does not support PDF inputs.": _TEXT_ONLY,
        "Model does not support image tool message.": _TEXT_ONLY,
        "Model does not support PDF tool message.": _TEXT_ONLY,
        "Model does not explicitly support Anthropic inputs.": "Another maker's message format; none of a job's.",
        "VCR not set up.": "There is no HTTP to record: the model runs on this machine.",
    }

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _engine(cls, tiny: Path) -> Iterator[None]:
        # A short session keeps unlimited answers short.
        cls.engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny), session=512, threads=1)
        yield
        cls.engine.close()

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return HostedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"runtime": self.engine._runtime}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        # No timeout, max_retries and api_key: the model lies in this machine, and unknown options are refused.
        return {"temperature": 0, "max_tokens": 100, "stop": []}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_model_override(self) -> bool:
        return False


@_run_async_tests
class TestOnnxUnit(_Common, ChatModelUnitTests):
    pass


@_run_async_tests
class TestOnnxIntegration(_Common, ChatModelIntegrationTests):
    pass


@_run_async_tests
class TestOnnxTools(_Common, ChatModelIntegrationTests):
    """What is about tools, on a model whose template knows them. Its weights are random: it calls because it must."""

    skip_reasons: ClassVar[dict[str, str]] = _Common.skip_reasons | dict.fromkeys(
        ("Model does not support image tool message.", "Model does not support PDF tool message."), _TEXT_ONLY
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _engine(cls, tooled: Path) -> Iterator[None]:
        cls.engine = OnnxEngine(EngineURI("onnx", "tooled"), ModelFolder.read(tooled), threads=1)
        yield
        cls.engine.close()

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        # A greedy random model never ends a text; one that draws does, and with a seed the same way each time.
        return {"temperature": 1.0, "seed": 3, "max_tokens": 2500, "stop": []}

    @property
    def has_tool_calling(self) -> bool:
        return True

    @property
    def has_structured_output(self) -> bool:
        return True

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "function_calling"}  # objects by a schema are tested apart, on short ones


_UNDERSTANDS = (
    "test_agent_loop",
    "test_structured_output_optional_param",
    "test_tool_calling",
    "test_tool_calling_async",
    "test_unicode_tool_call_integration",
)
for _name in dir(ChatModelIntegrationTests):
    if _name.startswith("test_") and not any(word in _name for word in ("tool", "structured")):
        setattr(TestOnnxTools, _name, None)  # run above
for _name in _UNDERSTANDS:
    _why = "it wants the right arguments, which random weights don't find"
    setattr(TestOnnxTools, _name, pytest.mark.skip(reason=_why)(getattr(ChatModelIntegrationTests, _name)))
