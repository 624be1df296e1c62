"""What a translation job says and does beside its words: source, terms, address, second tries, the report."""

from __future__ import annotations

import pytest

from agents.contract import TranslateInput
from agents.errors import FormatBroken
from agents.translate import build_translate

SOURCE = "The refund for Loop Plus is paid within two weeks."
GOOD = "Die Erstattung für Loop Plus erfolgt innerhalb von zwei Wochen."
WRONG = "Die Rückzahlung für Loop Plus erfolgt innerhalb von zwei Wochen."
RENAMED = "Die Erstattung für Schleife Plus erfolgt innerhalb von zwei Wochen."


def into(text: str, target: str = "de", **fields) -> TranslateInput:
    return TranslateInput(text=text, target=target, **fields)


TERMS = {"glossary": {"refund": "Erstattung", "invoice": "Rechnung"}, "keep": ["Loop Plus"]}


def test_the_prompt_has_the_terms_of_its_text_and_no_others(model, run) -> None:
    scripted = model(GOOD)
    result, _ = run(build_translate(scripted), into(SOURCE, **TERMS))
    assert result.text == GOOD
    system, asked = (message.text for message in scripted.prompts[0])
    assert "refund = Erstattung" in asked
    assert "Loop Plus" in asked.splitlines()[2]
    assert "Rechnung" not in asked
    assert "Erstattung" not in system
    assert "from English into German" in system
    report = result.report.model_dump()
    assert report["source"] == "en"
    assert report["terms"] == {"refund": 1, "Loop Plus": 1}
    assert (report["retried"], report["flagged"]) == (0, 0)


@pytest.mark.parametrize(("first", "what"), [(WRONG, "Erstattung"), (RENAMED, "Loop Plus")])
def test_a_missed_term_is_asked_for_once_more_and_then_flagged(model, run, first: str, what: str) -> None:
    scripted = model(first, GOOD)
    result, _ = run(build_translate(scripted), into(SOURCE, **TERMS))
    assert (result.text, result.issues, result.report.retried) == (GOOD, [], 1)
    assert what in scripted.prompts[1][-1].text.splitlines()[0]
    result, _ = run(build_translate(model(first, first)), into(SOURCE, **TERMS))
    assert [issue.problem for issue in result.issues] == ["term"]
    assert (result.report.retried, result.report.flagged) == (1, 1)
    assert result.text == first


def test_the_reader_is_addressed_as_asked(model, run) -> None:
    source = "Please open your account and check the amount."
    polite = "Bitte öffnen Sie Ihr Konto und prüfen Sie den Betrag."
    casual = "Bitte öffne dein Konto und prüfe den Betrag."
    scripted = model(casual, polite)
    result, _ = run(build_translate(scripted), into(source, formality="formal"))
    assert result.text == polite
    assert result.report.retried == 1
    assert '"Sie"' in scripted.prompts[0][0].text
    result, _ = run(build_translate(model(polite, polite)), into(source, formality="informal"))
    assert [issue.problem for issue in result.issues] == ["formality"]


@pytest.mark.parametrize(("target", "words"), [("en", "one way to address"), ("sv", "can't be told in Swedish")])
def test_formality_says_where_it_is_not_checked(model, run, target: str, words: str) -> None:
    text = "Bitte öffnen Sie heute noch das Fenster in Ihrem Zimmer."
    answer = {"en": "Please open the window in your room today.", "sv": "Öppna fönstret i ditt rum redan i dag."}
    result, _ = run(build_translate(model(answer[target])), into(text, target, formality="formal"))
    assert any(words in note for note in result.notes), result.notes


def test_a_text_in_the_target_language_is_returned_without_a_call(model, run) -> None:
    text = "Die Fähre legt jeden Morgen um acht Uhr ab.\n\nSie kommt am Abend zurück.\n"
    scripted = model()
    result, _ = run(build_translate(scripted), into(text))
    assert (result.text, scripted.prompts) == (text, [])
    assert any("--from" in note for note in result.notes)
    told = model(reply=lambda _: "[1] Die Fähre legt jeden Morgen um acht Uhr ab.\n[2] Sie kommt am Abend zurück.")
    run(build_translate(told), into(text, source="nl"))
    assert told.prompts


def test_a_text_that_is_partly_in_the_target_language_is_translated(model, run) -> None:
    german = "Die Fähre legt jeden Morgen um acht Uhr ab und kommt am Abend wieder zurück in den Hafen.\n\n" * 3
    scripted = model(
        reply=lambda messages: "\n".join(f"[{n}] Die Fähre legt jeden Morgen um acht Uhr ab." for n in range(1, 5))
    )
    run(build_translate(scripted), into(german + "The weather is good today, so we go to the beach."))
    assert scripted.prompts


def test_a_flagged_segment_says_where_it_stands(model, run) -> None:
    text = '{"menu": {"pay": "Pay {amount} now, please"}}'
    result, chunks = run(build_translate(model("Bitte jetzt zahlen", "Bitte jetzt zahlen")), into(text, source="en"))
    assert [(issue.place, issue.problem) for issue in result.issues] == [("menu.pay", "placeholder")]
    assert result.report.format == "json"
    assert any(chunk.progress and "menu.pay" in chunk.progress.note for chunk in chunks)
    assert result.text == '{"menu": {"pay": "Bitte jetzt zahlen"}}'


def test_a_broken_file_is_refused_before_any_call(model, run) -> None:
    scripted = model()
    with pytest.raises(FormatBroken):
        run(build_translate(scripted), into('{"a": ', format="json"))
    assert scripted.prompts == []
