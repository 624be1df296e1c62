"""Glossaries, words that stay, and forms of address: found in texts, held against translations."""

from __future__ import annotations

import pytest

from agents.checks.formality import check_formality
from agents.checks.terms import Terms

GLOSSARY = {"refund": "Erstattung", "credit card": "Kreditkarte", "credit": "Guthaben", "IT": "Informatik"}


def found(terms: Terms, text: str) -> dict[str, int]:
    return {term.source: count for term, count in terms.within(text).items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Refunds are paid to your Credit Card, not as credit.", {"refund": 1, "credit card": 1, "credit": 1}),
        ("It was refunded by IT.", {"refund": 1, "IT": 1}),
        ("The unrefundable credits", {"credit": 1}),
        ("See https://example.org/refund and {refund} and `refund`.", {}),
        ("", {}),
    ],
)
def test_terms_are_found_by_their_stems_outside_of_what_is_kept(text: str, expected: dict[str, int]) -> None:
    assert found(Terms(GLOSSARY, (), "en", "de"), text) == expected


@pytest.mark.parametrize(
    ("target", "good"),
    [
        ("Die Erstattungen dauern.", True),
        ("Der Erstattungsbetrag kommt.", True),
        ("Die ERSTATTUNG", True),
        ("Die Rückzahlung dauert.", False),
        ("", False),
    ],
)
def test_a_term_is_there_with_its_endings_or_within_a_longer_word(target: str, good: bool) -> None:
    problems = Terms(GLOSSARY, (), "en", "de").check("Refunds take time.", target)
    assert (not problems) == good
    if not good:
        assert problems[0].kind == "term"
        assert "Erstattung" in problems[0].detail


def test_words_that_stay_stand_as_often_as_they_did() -> None:
    terms = Terms({}, ["Loop Plus", "C++"], "en", "de")
    source = "Loop Plus and loop plus: Loop Plus runs C++."
    assert found(terms, source) == {"Loop Plus": 2, "C++": 1}
    assert not terms.check(source, "Loop Plus und loop plus: Loop Plus läuft mit C++.")
    assert [problem.detail for problem in terms.check(source, "Loop Plus läuft mit C.")] == [
        '"Loop Plus" should stay as it is',
        '"C++" should stay as it is',
    ]
    assert not Terms({}, ["Art"], "en", "de").within("Artist")


def test_a_word_that_is_kept_has_no_other_translation() -> None:
    terms = Terms({"Loop": "Schleife"}, ["Loop"], "en", "de")
    assert not terms.check("The Loop", "Der Loop")
    assert terms.check("The Loop", "Die Schleife")


def test_terms_of_scripts_without_spaces() -> None:
    terms = Terms({"返金": "refund"}, ["東京"], "zh", "en")
    assert found(terms, "東京で返金します") == {"返金": 1, "東京": 1}
    assert [problem.detail for problem in terms.check("東京で返金", "A repayment in Tokyo")]
    assert not terms.check("東京で返金", "A refund in 東京")


@pytest.mark.timeout(20)
def test_a_large_glossary_takes_no_time() -> None:
    glossary = {f"term{number} word": f"Wort{number}" for number in range(2000)}
    terms = Terms(glossary, [f"Name{number}" for number in range(2000)], "en", "de")
    text = "a term7 word and Name8 of many others " * 2000
    assert found(terms, text) == {"term7 word": 2000, "Name8": 2000}


@pytest.mark.parametrize(
    ("language", "text", "formality", "good"),
    [
        ("de", "Bitte öffnen Sie die App.", "formal", True),
        ("de", "Bitte öffne deine App.", "formal", False),
        ("de", "Bitte öffnen Sie die App.", "informal", False),
        ("de", "Sie kommt morgen.", "informal", True),
        ("de", "Öffnen.", "formal", True),
        ("de", "Hast du gefragt: Wie geht es Ihnen?", "formal", True),
        ("fr", "Ouvrez votre compte.", "informal", False),
        ("fr", "Ouvre ton compte si tu veux.", "formal", False),
        ("fr", "Ouvrez votre compte.", "formal", True),
        ("es", "¿Tú quieres?", "formal", False),
        ("nl", "Open uw rekening.", "informal", False),
        ("ru", "Откройте ваш счёт.", "informal", False),
        ("pl", "Czy chce Pan zapłacić?", "informal", False),
        ("sv", "Öppna ditt konto.", "formal", True),
    ],
)
def test_the_form_of_address(language: str, text: str, formality, good: bool) -> None:
    assert (not check_formality(text, language, formality)) == good
