"""The doctor's findings: each for a fault that is really there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workers import doctor
from workers.doctor import Check, machine, models, redis_look, services
from workers.engines.host import claim
from workers.engines.host.protocol import LoadSpec
from workers.engines.hosted.limits import locks
from workers.errors import StackFailed
from workers.settings import Settings, get_settings


def named(found: list[Check], name: str) -> list[Check]:
    return [check for check in found if check.name == name]


def test_given_a_fresh_machine_then_nothing_fails_and_what_does_not_run_says_how_to_start_it(
    settings: Callable[..., Settings], redis_binary: str
) -> None:
    found = doctor.run(settings(ollama_url="http://127.0.0.1:9"))
    assert [check for check in found if check.status == "fail"] == []
    for name in ("redis", "chroma", "worker"):
        (check,) = named(found, name)
        assert check.status == "warn"
        assert check.fix == "phiq up"
    assert all(check.message for check in found)
    assert all(check.fix for check in found if check.status != "ok")


def test_given_settings_that_cant_be_used_then_the_finding_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHIQ_SLOTS", "many")
    get_settings.cache_clear()
    try:
        (check,) = doctor.run()
    finally:
        get_settings.cache_clear()
    assert check.status == "fail"
    assert "PHIQ_SLOTS" in check.message


def test_given_a_misspelt_variable_then_the_right_one_is_offered(
    monkeypatch: pytest.MonkeyPatch, settings: Callable[..., Settings]
) -> None:
    monkeypatch.setenv("PHIQ_SLOT", "3")
    monkeypatch.setenv("PHIQ_LANE", "3")
    warnings = [check for check in machine.variables(settings()) if check.status == "warn"]
    assert any("PHIQ_SLOT " in check.message and "PHIQ_SLOTS" in check.fix for check in warnings)
    assert len(warnings) == 2


@pytest.mark.service
def test_given_services_that_run_then_they_are_healthy_but_no_worker_is(
    settings: Callable[..., Settings], redis_url: str, chroma_server: str
) -> None:
    import redis as library

    with library.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", "2gb")  # as it was started; other tests set others
    ours = settings(redis_url=redis_url, chroma_url=chroma_server)
    (redis,) = redis_look.redis(ours)
    assert redis.status == "ok", redis
    (chroma,) = services.chroma(ours)
    assert chroma.status == "ok", chroma
    (worker,) = services.workers(ours)
    assert worker.status == "fail"
    assert "phiq up" in worker.fix


@pytest.mark.service
def test_given_a_redis_that_may_lose_jobs_then_each_reason_is_named(
    settings: Callable[..., Settings], redis_url: str
) -> None:
    import redis

    ours = settings(redis_url=redis_url)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.config_set("appendfsync", "everysec")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = redis_look.redis(ours)
        finally:
            client.config_set("appendfsync", "always")
            client.config_set("maxmemory-policy", "noeviction")
    assert any(check.status == "fail" and "noeviction" in check.fix for check in found)
    assert any(check.status == "warn" and "everysec" in check.message for check in found)


@pytest.mark.service
def test_given_a_wrong_password_then_it_says_so_without_telling_it(
    settings: Callable[..., Settings], redis_url: str
) -> None:
    host = redis_url.rsplit("@", 1)[1]
    (check,) = redis_look.redis(settings(redis_url=f"redis://:letmein@{host}"))
    assert check.status == "fail"
    assert "password" in check.message
    assert "letmein" not in check.message + check.fix


def test_given_services_that_do_not_answer_then_they_fail_with_the_variable_to_mend(
    settings: Callable[..., Settings],
) -> None:
    ours = settings(redis_url="redis://127.0.0.1:9/0", chroma_url="http://127.0.0.1:9")
    (redis,) = redis_look.redis(ours)
    (chroma,) = services.chroma(ours)
    assert (redis.status, chroma.status) == ("fail", "fail")
    assert "PHIQ_REDIS_URL" in redis.fix
    assert "PHIQ_CHROMA_URL" in chroma.fix


def test_given_no_redis_anywhere_then_the_finding_is_how_to_install_one(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.stack import binaries

    monkeypatch.setattr(binaries, "_candidates", list)
    with pytest.raises(StackFailed) as failed:
        binaries.find_redis()
    found = doctor.run(settings())
    (check,) = named(found, "redis")
    assert check.status == "fail"
    assert check.fix == failed.value.hint
    assert "install" in check.fix


def test_given_a_default_model_that_is_not_here_then_the_fix_gets_it(settings: Callable[..., Settings]) -> None:
    (check,) = named(doctor.run(settings(model="onnx:phi-3.5-mini", ollama_url="http://127.0.0.1:9")), "default model")
    assert check.status == "fail"
    assert "phiq models pull phi-3.5-mini" in check.fix
    (check,) = services.ollama(settings(model="ollama:phi3.5", ollama_url="http://127.0.0.1:9"))
    assert check.status == "fail"
    assert check.fix == "ollama serve"


def test_given_no_weights_on_this_machine_then_the_fix_installs_them(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowledge.embed import weights

    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    (check,) = models.embedder(settings())
    assert check.status == "warn"
    assert check.fix == weights.INSTALL


def test_given_a_model_in_memory_then_its_worker_is_named(settings: Callable[..., Settings]) -> None:
    given = settings()
    (check,) = models.sharing(given)
    assert (check.status, "No model is in memory" in check.message) == ("ok", True)
    spec = LoadSpec("/models/tiny", threads=1, max_length=64)
    held = claim.claim(locks(given), claim.key_of(spec), spec, 1.0)
    assert held is not None
    held.started(4711)
    (check,) = models.sharing(given)
    assert f"tiny (onnx) by worker {os.getpid()} in process 4711" in check.message
    (check,) = models.sharing(settings(engine_share="off"))
    assert "PHIQ_ENGINE_SHARE is off" in check.message
    held.close()
    (check,) = models.sharing(given)
    assert "No model is in memory" in check.message


def test_given_a_folder_for_locks_that_cant_be_then_workers_load_for_themselves(
    settings: Callable[..., Settings],
) -> None:
    given = settings()
    given.data_dir.mkdir(parents=True, exist_ok=True)
    (given.data_dir / "run").write_text("in the way")
    (check,) = models.sharing(given)
    assert (check.status, "for itself" in check.message) == ("warn", True)
    assert "PHIQ_DATA_DIR" in check.fix


def test_given_a_data_folder_below_a_file_then_it_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (check,) = machine.data_folder(Settings(data_dir=tmp_path / "file" / "data"))
    assert check.status == "fail"


def test_given_another_distribution_with_our_name_then_it_is_named(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    owners = {"agents": ["openai-agents"], "tools": ["phiq"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: owners)
    (check,) = machine.packages(settings())
    assert check.status == "fail"
    assert check.fix == "pip uninstall openai-agents"


def test_a_look_that_breaks_is_a_finding_and_the_others_go_on(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_look(_settings: Settings) -> list[Check]:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("workers.doctor.looks.LOOKS", (broken_look, machine.python))
    first, second = doctor.run(settings())
    assert (first.name, first.status) == ("broken look", "fail")
    assert "by nought" in first.message
    assert second.name == "python"
