"""docs/engines.md shows the profiles as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.models.profiles import PROFILES, UNVERIFIED
from workers.models.table import markdown, refresh

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"


def test_the_page_is_current():
    text = PAGE.read_text(encoding="utf-8")
    assert refresh(text) == text, "run: python -m workers.models.table docs/engines.md"


def test_every_profile_is_in_the_table():
    table = markdown()
    assert all(f"| `{profile.name}` |" in table for profile in PROFILES)


def test_a_page_without_a_place_for_the_table_is_an_error():
    with pytest.raises(ValueError, match="no place"):
        refresh("# Engines\n")


def test_each_figure_stands_beside_its_address_or_is_unverified():
    lines = {line.split("`")[1]: line for line in markdown().splitlines() if line.startswith("- `")}
    for profile in PROFILES:
        for figure in profile.figures:
            page = profile.source(figure)
            parts = lines[profile.name].partition(": ")[2].split("; ")
            told = [part for part in parts if (f"`{UNVERIFIED}`" if page == UNVERIFIED else f"<{page}>") in part]
            assert len(told) == 1, (profile.name, figure)
            assert figure.replace("_", " ") in told[0], (profile.name, figure)
