"""Whether a sentence holds the number or time that a question asks for."""

from __future__ import annotations

import pytest

from agents.extractive.quantity import fits


@pytest.mark.parametrize(
    ("question", "sentence", "fit"),
    [
        ("How long does it last?", "It lasts three years.", 1),
        ("How long does it last?", "It lasts as long as you keep it dry.", -1),
        ("how MANY valves?", "Up to 8 valves are free.", 1),
        ("How many valves?", "Someone else sells valves.", -1),
        ("When is it sent?", "Invoices are sent on Monday.", 1),
        ("When is it sent?", "Invoices are sent by e-mail.", -1),
        ("What year was it built?", "It was built in 1961.", 1),
        ("Who built it?", "It was built in 1961.", 0),
        ("Wie lange hält es?", "Es hält lange.", 0),
        ("Whenever it rains, who closes the roof?", "The guard does.", 0),
    ],
)
def test_fit(question: str, sentence: str, fit: int) -> None:
    assert fits(question, sentence) == fit
