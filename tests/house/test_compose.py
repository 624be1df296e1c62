"""compose.yaml against the settings and against what a stranger on the network could reach."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers import __main__ as entry
from workers.settings import Settings
from workers.stack.binaries import CHROMA_ENVIRONMENT
from workers.stack.members import GatewayMember

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = [name for name, service in SERVICES.items() if "profiles" not in service]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def substituted(text: object) -> str:
    """A value as compose would fill it in, with the defaults written there."""
    return re.sub(r"\$\{(\w+)(?::?-([^}]*)|:?\?[^}]*)?\}", lambda m: m[2] if m[2] is not None else "secret", str(text))


def test_the_parts_of_the_card_are_there() -> None:
    assert {"redis", "chroma", "ollama", "worker", "beat", "gateway"} <= set(LASTING)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_its_value_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {key: substituted(value) for key, value in SERVICES[name]["environment"].items()}
    known = {f"PHIQ_{field.upper()}" for field in Settings.model_fields}
    # The C library reads this one, not phiq: a test below holds its value.
    assert set(environment) - ({"MALLOC_PERTURB_"} if name == "chroma" else set()) <= known
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:secret@redis:6379/0"


def test_chroma_overwrites_what_it_frees_as_the_one_of_phiq_up_does() -> None:
    # The image is Debian's, with glibc: macOS's variable has nothing to do there.
    assert SERVICES["chroma"]["environment"]["MALLOC_PERTURB_"] == CHROMA_ENVIRONMENT["MALLOC_PERTURB_"]


def test_addresses_name_services_that_exist_and_share_a_network() -> None:
    for name in OURS:
        for value in SERVICES[name]["environment"].values():
            for host in re.findall(r"(?:http://|@)([a-z]+):\d+", str(value)):
                assert set(SERVICES[host]["networks"]) & set(SERVICES[name]["networks"]), (name, host)


@pytest.mark.parametrize("name", LASTING)
def test_each_lasting_part_has_a_health_check_and_starts_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_health_checks_and_commands_of_ours_are_ones_that_exist() -> None:
    for name in OURS:
        test = SERVICES[name].get("healthcheck", {}).get("test")
        if test:
            assert test[:5] == ["CMD", "python", "-m", "workers", "probe"]
            assert test[5] in entry._PROBES
            assert test[5] == name
    assert SERVICES["worker"]["command"] == ["python", "-m", "workers", "worker"]
    assert SERVICES["beat"]["command"] == ["python", "-m", "workers", "beat"]
    assert SERVICES["gateway"]["command"] == ["phiq", "serve"]


@pytest.mark.parametrize("name", list(SERVICES))
def test_images_are_pinned_to_a_version(name: str) -> None:
    repository, _, tag = SERVICES[name]["image"].rpartition(":")
    assert repository
    assert re.match(r"^\d+\.\d+\.\d+", tag), tag


@pytest.mark.parametrize("name", list(SERVICES))
def test_nothing_is_published_beyond_loopback(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))
    assert SERVICES[name].get("network_mode") != "host"
    assert not SERVICES[name].get("privileged")
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]


def test_only_what_pulls_models_has_a_way_out() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {"ollama", "phiq"}
    front = COMPOSE["networks"]["front"]["driver_opts"]
    assert front == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {"gateway"}


def test_no_secret_is_written_down() -> None:
    text = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
    for line in text.splitlines():
        if "PASSWORD" in line and not line.lstrip().startswith("#"):
            assert "${REDIS_PASSWORD:?" in line or "$$REDIS_PASSWORD" in line, line


def test_redis_promises_what_the_pages_say() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    for words in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert words in command


def test_volumes_are_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_a_gateway_gets_longer_to_end_than_its_requests() -> None:
    from gateway.http import serve

    assert float(SERVICES["gateway"]["stop_grace_period"].removesuffix("s")) >= serve._GRACE + 5
    assert GatewayMember.grace >= serve._GRACE + 5


def test_a_worker_gets_longer_to_end_than_its_drain() -> None:
    grace = float(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace >= Settings.model_fields["drain_seconds"].default + 10


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_only_where_they_must(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_the_image_runs_as_nobody_special_and_brings_the_same_weights_as_make() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    users = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    assert users
    assert users[-1] not in {"root", "0"}
    assert not re.search(r"^FROM \S+:(latest|[\d.]*-slim)?$", dockerfile, re.MULTILINE)
    embedder = re.search(r"^EMBEDDER := (\S+)", makefile, re.MULTILINE)
    assert embedder
    assert f"ARG EMBEDDER={embedder[1]}\n" in dockerfile
    assert "-c constraints.txt" in dockerfile
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    assert copied == {"agents", "tools", "knowledge", "workers", "gateway", "phiq"}
