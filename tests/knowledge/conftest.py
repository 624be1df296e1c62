"""What the tests of this layer share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def embedder_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this session builds its embedders, once."""
    return tmp_path_factory.mktemp("embed")
