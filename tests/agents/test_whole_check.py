# ruff: noqa: RUF001 -- marks of other scripts are meant
"""Whether a translation is whole and nothing more."""

import pytest

from agents.checks.whole import check_translation, stops_short

SOURCE = "The ferry to the island leaves at 9 every morning. It takes *40 minutes*."
FAITHFUL = "Die Fähre zur Insel legt jeden Morgen um 9 Uhr ab. Sie braucht *40 Minuten*."


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (SOURCE, FAITHFUL),
        (SOURCE, "Die Fähre zur Insel legt jeden Morgen um 9 Uhr ab und braucht *40 Minuten*."),
        ("It takes (about) 40 minutes and leaves at 9.", "Sie braucht (etwa) 40 Minuten. Sie legt um 9 Uhr ab."),
        ("He said: “Go home.”", "Er sagte: „Geh nach Hause.“"),
        ("**Opening hours**", "**Öffnungszeiten**"),
        ("Is it open?", "開いていますか？"),
        ("Hold the ring.", "押住圆环。"),
        ("It is open every day.", "เปิดทุกวัน"),
    ],
)
def test_what_people_do_when_they_translate_is_no_problem(source, target):
    assert check_translation(source, target) == []


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (SOURCE, FAITHFUL[:-10].replace("*", "") + "*40*", "stops in the middle"),
        (SOURCE, FAITHFUL + " Der Minister hat das in einem Brief an alle gelobt.", "something was added"),
        (
            "Prices of the ferry to the island",
            "Preise der Fähre. Der Minister hat das in einem langen Brief gelobt.",
            "was added",
        ),
        (SOURCE, "Die Fähre.", "far shorter"),
    ],
)
def test_what_was_left_out_or_added_is_told(source, target, said):
    assert any(said in problem.detail for problem in check_translation(source, target))


@pytest.mark.parametrize(
    ("sentence", "short"),
    [
        ("The ferry leaves every morning at", True),
        ("The ferry leaves every morning at 9.", False),
        ("The ferry leaves every morning at 9 [1]", False),
        ('Die Fähre legt um 9 Uhr ab. [1] "leaves at 9"', False),
        ("30 days", False),
    ],
)
def test_an_answer_that_stops_short_is_told_from_a_short_one(sentence, short):
    assert stops_short(sentence) is short
