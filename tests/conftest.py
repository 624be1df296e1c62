"""What all tests share: real services on loopback, folders of their own, and no way out to the network."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
_START_SECONDS = 60.0
_SKIP_REASONS = {
    "init_from_env_params not specified.": "Only workers/settings.py reads the environment.",
    "Model is not serializable.": "It holds a live engine and a job's stop event; a job carries the engine's URI.",
}
"""Why LangChain's standard suites skip what they skip for each of our engines."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before anything of ours is imported: forget the developer's settings, and close the network but loopback."""
    for name in [name for name in os.environ if name.startswith("PHIQ_")]:
        del os.environ[name]
    private = Path(tempfile.mkdtemp(prefix="phiq-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(private, ignore_errors=True))
    # Whatever reads the default settings must not find the developer's own data, models or tokens.
    os.environ["PHIQ_DATA_DIR"] = str(private / "data")
    os.environ["HF_HOME"] = str(private / "hub")
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
    config.option.allow_hosts = "127.0.0.1,::1,localhost"
    config.option.allow_unix_socket = True
    # A run that is ended from outside (CI's time limit) stops its servers too, and still prints its closing lines.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """A skipped standard test of LangChain's carries our reason: the class's ``skip_reasons``, by LangChain's words."""
    try:
        return (yield)
    except pytest.skip.Exception as skipped:
        bases = pyfuncitem.cls.__mro__ if pyfuncitem.cls else ()
        if not any(base.__module__.startswith("langchain_tests.") for base in bases):
            raise
        words = str(skipped.msg)
        reason = (_SKIP_REASONS | getattr(pyfuncitem.cls, "skip_reasons", {})).get(words)
    if reason is None:
        pytest.fail(f"skipped ({words}) without a reason of ours: add it to the class's skip_reasons")
    pytest.skip(f"{words} {reason}")


def service_missing(reason: str) -> None:
    """Fail in CI, skip elsewhere: a laptop may lack a service, the tests that guard a change may not."""
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


def wait_until(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Look until a condition holds and return its value; fail by name when it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what or condition}")
        time.sleep(0.02)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., Any]:
    """`wait_until(condition, seconds, what)`, for test modules (which can't import this file)."""
    return wait_until


@pytest.fixture(scope="session")
def redis_binary() -> str:
    """A real Redis server's program."""
    from workers.errors import StackFailed
    from workers.stack.binaries import find_redis

    try:
        return find_redis().path
    except StackFailed as error:
        service_missing(error.message)
        raise


@pytest.fixture(scope="session")
def redis_server(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis for this session, configured like the one-machine stack's; its address.

    Tests that kill or restart Redis start one of their own with the same modules.
    """
    from workers.stack import health, redis_server
    from workers.stack.ports import free_port

    folder = tmp_path_factory.mktemp("redis")
    password = secrets.token_hex(8)

    def command(port: int) -> list[str]:
        redis_server.write_config(folder / "redis.conf", folder, port, password)
        return [redis_binary, str(folder / "redis.conf")]

    yield from _serve(command, lambda port: health.redis(redis_server.url(port, password)), folder, free_port, password)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The session's Redis, emptied for this test."""
    import redis

    with redis.Redis.from_url(redis_server, socket_timeout=10) as client:
        client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Chroma server for this session; its address. Use collections or tenants of your own."""
    from workers.stack import binaries, health
    from workers.stack.ports import free_port

    folder = tmp_path_factory.mktemp("chroma")

    def command(port: int) -> list[str]:
        return binaries.chroma_argv(folder / "data", port)

    yield from _serve(command, lambda port: health.chroma(f"http://127.0.0.1:{port}"), folder, free_port)


@pytest.fixture(scope="session")
def words_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real word index server for this session; its address with the secret. Use collections of your own."""
    from workers.stack import health
    from workers.stack.ports import free_port

    folder, secret = tmp_path_factory.mktemp("words"), secrets.token_hex(8)

    def command(port: int) -> list[str]:
        call = "import sys; from knowledge.words.server import serve; from pathlib import Path; "
        call += "serve(Path(sys.argv[1]), '127.0.0.1', int(sys.argv[2]), sys.argv[3])"
        return [sys.executable, "-c", call, str(folder / "data"), str(port), secret]

    at = f"http://:{secret}@127.0.0.1:"
    for address in _serve(command, lambda port: health.words(f"{at}{port}"), folder, free_port):
        yield at + address.rpartition(":")[2]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Any]:
    """Makes settings whose data lies in this test's folder: ``settings(redis_url=…, slots=2)``."""
    from workers.settings import Settings

    def make(**values: Any) -> Settings:
        return Settings(**{"data_dir": tmp_path / "data", **values})

    return make


def _serve(
    command: Callable[[int], list[str]],
    unhealthy: Callable[[int], str],
    folder: Path,
    free_port: Callable[[], int],
    password: str = "",
) -> Iterator[str]:
    """Start a server on a free port (another one when that was taken meanwhile), yield its address, end it by id."""
    from workers.stack import redis_server
    from workers.stack.child import Child, tail

    for _ in range(5):
        port = free_port()
        child = Child(command(port), folder / "server.log", folder)
        try:
            wait_until(
                lambda child=child, port=port: not child.running or not unhealthy(port),
                _START_SECONDS,
                f"server healthy; {folder / 'server.log'}",
            )
            if child.running:
                yield redis_server.url(port, password) if password else f"http://127.0.0.1:{port}"
                return
        finally:
            child.stop(grace=10)
    pytest.fail(f"the server does not start:\n{tail(folder / 'server.log')}")


_PHI4 = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}"
    "{{ '<|system|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""What Phi-4-mini's template does: the tools stand in the system's message, and any role has its marker."""


def _knowing_tools(folder: Path, template: str) -> Path:
    """Give a copy of the tiny model another template, and four of its markers the names of those of tools."""
    names = {"1": "tool", "2": "/tool", "3": "tool_call", "4": "/tool_call"}
    for file in (folder / "tokenizer.json", folder / "tokenizer_config.json"):
        text = file.read_text("utf-8")
        for number, name in names.items():
            text = text.replace(f"<|placeholder{number}|>", f"<|{name}|>")
        file.write_text(text, "utf-8")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "chat_template": template}), "utf-8")
    return folder


@pytest.fixture(scope="session")
def tooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with Phi-4-mini's way of tools."""
    tiny = Path(__file__).resolve().parent / "assets" / "tiny-phi3"
    return _knowing_tools(Path(shutil.copytree(tiny, tmp_path_factory.mktemp("tooled") / "model")), _PHI4)
