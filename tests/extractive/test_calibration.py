from __future__ import annotations

import random

import pytest

from agents.calibration import NEAR, Calibration, Judged, fit, held_out, rates


def _questions(count: int, seed: int = 1) -> list[Judged]:
    """Support about 1 where there is an answer and -1 where there is none, with a spread of 1."""
    source = random.Random(seed)
    return [
        Judged(right, source.gauss(1 if right else -1, 1), source.uniform(0.5, 0.9))
        for right in (True, False)
        for _ in range(count)
    ]


@pytest.mark.parametrize("at_most", [0.0, 0.05, 0.1, 0.5])
def test_no_more_than_the_share_asked_for_is_answered_falsely(at_most: float) -> None:
    judged = _questions(200)
    found = rates(judged, fit(judged, at_most))
    assert found.falsely <= at_most
    assert found.answered == pytest.approx({0.0: 0.25, 0.05: 0.72, 0.1: 0.78, 0.5: 0.98}[at_most], abs=0.25)
    more = sorted((one.support for one in judged if not one.answerable), reverse=True)[int(at_most * 200)]
    assert rates(judged, Calibration(answer_at=more)).falsely > at_most, "a lower threshold would have let more through"


def test_held_out_rates_are_near_those_of_new_questions() -> None:
    here, new = _questions(200), _questions(4000, seed=2)
    expected, claimed = rates(new, fit(here)), held_out(here)
    assert claimed.answered == pytest.approx(expected.answered, abs=0.08)
    assert claimed.falsely == pytest.approx(expected.falsely, abs=0.08)


def test_questions_in_order_of_their_support_are_spread_over_the_folds() -> None:
    judged = sorted(_questions(200), key=lambda one: one.support)
    assert held_out(judged).answered == pytest.approx(held_out(_questions(200)).answered, abs=0.05)


def test_nearness_never_rises_above_the_default_and_costs_few_answers() -> None:
    far = [Judged(one.answerable, one.support, one.score - 0.3) for one in _questions(100)]
    assert fit(_questions(100)).near == NEAR
    assert 0.2 <= fit(far).near < 0.23


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"answer_at": "x", "near": 1}', "null"])
def test_what_can_not_be_read_leaves_the_defaults(text: str) -> None:
    assert Calibration.parse(text) == Calibration()


def test_what_was_kept_is_read_again() -> None:
    made = Calibration(1.25, 0.4, 60)
    assert Calibration.parse(made.dump()) == made
