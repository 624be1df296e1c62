"""The house itself: names, what is installed, what an import costs, error codes, the wheel, generated pages."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from knowledge.errors import PhiqError
from workers import settings_page

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("agents", "tools", "knowledge", "workers", "gateway", "phiq")
CODE = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_is_this_projects_and_nobody_elses(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().is_relative_to(PROJECT)
    owners = set(importlib.metadata.packages_distributions().get(name, ()))
    assert owners <= {"phiq"}


def test_nobody_imports_a_top_level_schemas() -> None:
    # chromadb installs one: whoever finds it instead of their own gets another's code.
    for name in PACKAGES:
        for path in (PROJECT / name).rglob("*.py"):
            assert not re.search(r"^\s*(import|from) schemas\b", path.read_text(encoding="utf-8"), re.MULTILINE), path


def test_tests_are_no_packages() -> None:
    assert list((PROJECT / "tests").rglob("__init__.py")) == []


def test_no_torch_and_no_agpl_in_what_a_plain_install_brings() -> None:
    wanted = closure("phiq") if installed("phiq") else closure_of(project_requirements())
    assert "celery" in wanted, "the closure was not computed"
    heavy = {"torch", "sentence-transformers", "transformers", "tensorflow", "pymupdf", "openai-agents"}
    assert wanted & heavy == set()
    assert not [name for name in wanted if name.startswith("nvidia-")]


def installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def project_requirements() -> list[str]:
    import tomllib

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def closure(name: str) -> set[str]:
    return closure_of(importlib.metadata.requires(name) or [])


def closure_of(requirements: list[str]) -> set[str]:
    """Every distribution that these bring on this machine, extras of dependencies included."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(Requirement(text), frozenset({""})) for text in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        own = frozenset(requirement.extras | {""})
        if (name, own) in seen:
            continue
        seen.add((name, own))
        if installed(name):
            waiting += [(Requirement(text), own) for text in importlib.metadata.requires(name) or []]
    return {name for name, _ in seen}


def modules_after(statement: str) -> set[str]:
    """The modules a fresh interpreter has loaded after a statement."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    return set(json.loads(answer.stdout.splitlines()[-1]))


HEAVY = {
    "celery",
    "chromadb",
    "huggingface_hub",
    "kombu",
    "langchain",
    "langchain_core",
    "langchain_community",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime_genai",
    "openai",
    "PIL",
    "rapidocr",
    "redis",
    "sentence_transformers",
    "tokenizers",
    "torch",
    "trafilatura",
    "transformers",
}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import gateway.cli", set()),
        ("import phiq", set()),
        ("import workers.connections", set()),
        ("import workers.stack; workers.stack.Stack", set()),
        ("import workers.app", {"celery", "kombu", "redis"}),
    ],
)
def test_an_import_loads_nothing_heavy(statement: str, allowed: set[str]) -> None:
    loaded = {name.split(".")[0] for name in modules_after(statement)}
    assert loaded & HEAVY <= allowed


def test_help_loads_nothing_heavy() -> None:
    statement = """
import contextlib, io, sys
import gateway.cli
sys.argv = ["phiq", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    gateway.cli.main()
assert "ingest" in out.getvalue()
"""
    loaded = {name.split(".")[0] for name in modules_after(statement)}
    assert loaded & HEAVY == set()


def error_classes() -> list[type[PhiqError]]:
    found = {PhiqError}
    for package in PACKAGES:
        root = importlib.import_module(package)
        places = getattr(root, "__path__", None)
        for info in pkgutil.walk_packages(places, f"{package}.") if places else ():
            if not info.name.rsplit(".", 1)[-1].startswith("errors"):
                continue
            module = importlib.import_module(info.name)
            found |= {one for _, one in inspect.getmembers(module, inspect.isclass) if issubclass(one, PhiqError)}
    return sorted(found, key=lambda one: f"{one.__module__}.{one.__qualname__}")


def test_every_error_has_a_code_of_its_own() -> None:
    classes = error_classes()
    assert len(classes) > 30
    codes: dict[str, str] = {}
    for one in classes:
        # The roots are never raised as such by a border that knows better.
        if one.__name__ in {"PhiqError", "UserError", "ServiceError"}:
            continue
        assert "code" in vars(one), f"{one.__name__} inherits its code"
        assert CODE.match(one.code), one.code
        assert one.fault in {"user", "service"}
        assert not (one.fault == "user" and one.transient), f"{one.__name__}: repeating a user's fault does not help"
        assert one.__doc__, one.__name__
        assert one.code not in codes, f"{one.__name__} and {codes[one.code]} share {one.code}"
        codes[one.code] = one.__name__
    assert not {"internal", "bad_request"} & set(codes)


def test_the_wheel_holds_the_packages_and_nothing_else(tmp_path: Path) -> None:
    if not (PROJECT / "README.md").is_file():
        pytest.skip("no README.md to build with")
    pytest.importorskip("hatchling", reason="the build backend is not installed here")
    answer = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert set(tracked) <= set(names), "a file that is not Python is missing from the wheel"
    assert not [name for name in names if name.endswith(".pyc") or "/tests/" in name]


def test_configuration_page_is_current() -> None:
    written = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == settings_page.page(), "run `make docs`"


def test_every_pinned_dependency_satisfies_the_bounds() -> None:
    pins = {}
    for line in (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            pins[re.sub(r"[-_.]+", "-", requirement.name).lower()] = pin.version
    for text in project_requirements():
        requirement = Requirement(text)
        version = pins[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        assert requirement.specifier.contains(version), text
        assert any(one.operator in {">=", "==", "~="} for one in requirement.specifier), f"{text} has no lower bound"
