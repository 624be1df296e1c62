"""What protects the developer from the tests, and the tests from the developer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from workers import connections
from workers.errors import SettingsInvalid
from workers.settings import Settings, child_environment


def test_no_test_reaches_beyond_loopback() -> None:
    # An address reserved for documentation: should the guard fail, nobody is bothered.
    with pytest.warns(UserWarning, match=r"192\.0\.2\.1"), pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_the_developers_settings_and_data_are_out_of_sight() -> None:
    # .ci/run sets a PHIQ_MODEL that must not arrive here.
    from platformdirs import user_data_path

    assert [name for name in os.environ if name.startswith("PHIQ_")] == ["PHIQ_DATA_DIR"]
    assert Settings().data_dir != user_data_path("phiq")
    assert Settings().model == "extractive"


def test_a_child_sees_the_settings_given_in_code_and_none_of_the_environments(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = settings(redis_url="redis://:secret@127.0.0.1/0", slots=3, local_only=False, worker_name=None)
    monkeypatch.setenv("PHIQ_TENANT", "somebody")
    environment = {k: v for k, v in child_environment(ours, chroma_url="http://x:1").items() if k.startswith("PHIQ_")}
    assert environment == {
        "PHIQ_DATA_DIR": str(ours.data_dir),
        "PHIQ_REDIS_URL": "redis://:secret@127.0.0.1/0",
        "PHIQ_CHROMA_URL": "http://x:1",
        "PHIQ_SLOTS": "3",
        "PHIQ_LOCAL_ONLY": "False",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PHIQ_TENANT")
    assert Settings() == ours.model_copy(update={"chroma_url": "http://x:1"})


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "http://:hush@127.0.0.1", "redis://:hush@127.0.0.1:port/0"])
def test_an_address_that_is_none_is_refused_without_showing_it(settings: Callable[..., Settings], address: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        connections.redis_client(settings(redis_url=address))
    assert refused.value.subject == "PHIQ_REDIS_URL"
    assert "hush" not in str(refused.value.to_dict())
