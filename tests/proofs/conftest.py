from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# The modules beside this file are no tests and no package; their names begin with "proofs_".
sys.path.append(str(Path(__file__).parent))

from proofs_servers import Proxy, Rewindable

# For mutations.py: a failure is all it asks for, not the smallest one.
settings.register_profile("mutants", phases=(Phase.generate,))


@pytest.fixture(scope="session")
def rewindable(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewindable]:
    """A Redis that tests may kill and roll back."""
    made = Rewindable(redis_binary, tmp_path_factory.mktemp("rewindable"))
    yield made
    made.kill()


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Starts a proxy before the Redis of a port."""
    started: list[Proxy] = []

    def start(port: int) -> Proxy:
        made = Proxy(port)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.close()
