"""The table of the Phi family and its many names."""

from __future__ import annotations

import pytest

from workers.engines.presets import PRESETS
from workers.errors import ModelNotFound
from workers.models.profiles import FIGURES, PROFILES, UNVERIFIED, find, lookup


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("phi-3.5-mini", "phi-3.5-mini"),
        ("phi3.5", "phi-3.5-mini"),
        ("phi3.5:latest", "phi-3.5-mini"),
        ("phi3.5:3.8b-mini-instruct-q4_K_M", "phi-3.5-mini"),
        ("microsoft/Phi-3.5-mini-instruct", "phi-3.5-mini"),
        ("microsoft/Phi-3.5-mini-instruct-onnx", "phi-3.5-mini"),
        ("PHI-3.5-MOE-INSTRUCT", "phi-3.5-moe"),
        ("phi3", "phi-3-mini-4k"),
        ("phi3:latest", "phi-3-mini-4k"),
        ("phi3:mini-128k", "phi-3-mini-128k"),
        ("phi3:14b", "phi-3-medium-4k"),
        ("phi3:14b-medium-128k-instruct-q4_0", "phi-3-medium-128k"),
        ("microsoft/Phi-3-vision-128k-instruct-onnx-cpu", "phi-3-vision"),
        ("microsoft/Phi-3-small-8k-instruct-onnx-cuda", "phi-3-small-8k"),
        ("phi4", "phi-4"),
        ("phi4-mini:3.8b-fp16", "phi-4-mini"),
        ("phi4-reasoning:plus", "phi-4-reasoning"),
        ("phi4-mini-reasoning", "phi-4-mini-reasoning"),
    ],
)
def test_every_name_people_use_finds_the_profile(name, expected):
    assert find(name).name == expected


def test_every_profile_is_found_by_its_own_names():
    for profile in PROFILES:
        for name in filter(None, (profile.name, profile.hub, profile.ollama, profile.onnx_repo, *profile.aliases)):
            assert find(name) is profile, name


@pytest.mark.parametrize("name", ["llama3", "phi", "phi-5", "", "phi-3.5-mini-evil", "../phi"])
def test_an_unknown_name_is_an_error_with_the_next_step(name):
    assert lookup(name) is None
    with pytest.raises(ModelNotFound) as caught:
        find(name)
    assert caught.value.hint == "phiq models list"


def test_the_whole_family_is_there():
    names = {profile.name for profile in PROFILES}
    assert names >= {
        *("phi-3-mini-4k", "phi-3-mini-128k", "phi-3-small-8k", "phi-3-medium-4k", "phi-3-vision"),
        *("phi-3.5-mini", "phi-3.5-moe", "phi-3.5-vision", "phi-4", "phi-4-mini", "phi-4-multimodal"),
        *("phi-4-reasoning", "phi-4-mini-reasoning"),
    }


def test_figures_hang_together():
    for profile in PROFILES:
        assert profile.context >= 4096
        assert bool(profile.onnx_repo) == bool(profile.onnx_folder)
        assert profile.vision == bool(profile.vision_languages)
        for figure in ("context", "languages", "licence", "onnx"):
            assert profile.source(figure) == UNVERIFIED or profile.source(figure).startswith("https://")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_source_is_an_address_of_a_figure_that_the_profile_claims(profile):
    # A misspelt key would pass for a source that nobody ever shows.
    assert set(profile.sources) <= set(profile.figures) <= set(FIGURES)
    assert all(page == UNVERIFIED or page.startswith("https://") for page in profile.sources.values())


def test_servers_name_their_pages_too():
    for scheme, preset in PRESETS.items():
        for page in (preset.source, preset.models_source):
            assert page == UNVERIFIED or page.startswith("https://"), scheme
