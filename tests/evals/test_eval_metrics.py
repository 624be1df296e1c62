"""Figures against values worked out by hand."""

from pathlib import Path

import pytest

from workers.evals.figures import mean, ratio
from workers.evals.metrics import chat, pictures, search, summaries, translations
from workers.evals.metrics.abstaining import abstaining, risk
from workers.evals.records import RECORD
from workers.evals.words import edits, language_of, rouge, same_language

TEXT = "The ring is held for 12 seconds. It then flashes red."


def figure(scores, name):
    figures = scores if isinstance(scores, list) else scores.figures
    (found,) = [one for one in figures if one.name == name]
    return found.value


def result(band="answered", source="a", text=f"{TEXT} [1]", score=0.5, **fields):
    passage = {"id": f"{source}1", "text": f"Before. {TEXT}", "source": source, "title": "", "score": score}
    cited = {"marker": 1, "passage_id": passage["id"], "source": source, "quote": TEXT[:32], "start": 8, "end": 40}
    return {
        "band": band,
        "text": text,
        "passages": [passage],
        "citations": [cited] if band == "answered" else [],
        **fields,
    }


def asked(name, **fields):
    return RECORD.validate_python({"task": "chat", "id": name, "question": "How long is the ring held?", **fields})


def test_intervals_hold_the_value_and_are_the_same_each_time():
    (one,) = mean("chat", "x", [0.0, 1.0] * 20)
    assert (one.value, one.n) == (0.5, 40)
    assert 0.3 < one.low < 0.5 < one.high < 0.7
    assert mean("chat", "x", [0.0, 1.0] * 20) == [one]
    assert ratio("chat", "x", [1, 3], [2, 2])[0].value == 1.0
    assert mean("chat", "x", []) == ratio("chat", "x", [0], [0]) == []


def test_abstaining_is_judged_by_the_band_first_and_then_by_the_best_passage():
    results = [result(), result(score=0.2), result("abstained", score=0.9), result("passages"), result("abstained")]
    figures = abstaining([True, True, True, False, False], results)
    assert figure(figures, "answerable answered") == pytest.approx(2 / 3)
    assert figure(figures, "unanswerable answered") == 0
    # The third is below the fourth and above the fifth: 5 of 6 pairs are in order.
    assert figure(figures, "abstention AUC") == pytest.approx(5 / 6)
    assert figure(figures, "answered at 10% false") == pytest.approx(2 / 3)


def test_risk_grows_with_what_is_answered():
    results = [result(score=0.9), result(score=0.5), result("passages"), result("abstained")]
    figures, curve = risk([False, True, False, True], results)
    assert figure(figures, "risk at 50% coverage") == 0.5
    assert [round(value, 2) for _, value in curve] == [0, 0.5, 0.33, 0.5]
    assert [share for share, _ in curve] == [0.25, 0.5, 0.75, 1.0]


def test_citations_count_when_they_are_exact_and_of_the_right_source():
    pairs = [
        (asked("1", relevant="a", answer=TEXT), result()),
        (asked("2", relevant=["a", "b"], answer="Something else."), result(text="It is held for 13 seconds. [1]")),
        (asked("3", answerable=False), result(source="c")),
    ]
    pairs[1][1]["citations"][0]["start"] = 9
    scores = chat.score(pairs)
    assert figure(scores, "citation precision") == 1
    assert figure(scores, "citation recall") == pytest.approx(2 / 3)
    assert figure(scores, "citations with exact spans") == pytest.approx(2 / 3)
    assert figure(scores, "sentences verbatim") == pytest.approx(4 / 5)
    assert figure(scores, "numbers borne out") == pytest.approx(2 / 3)
    assert figure(scores, "unanswerable answered") == 1
    assert figure(scores, "hit@1") == 1
    assert figure(scores, "right language") == 1
    assert scores.by_record["3"] < scores.by_record["2"] < scores.by_record["1"] == 1


def test_searches_count_sources_once():
    record = RECORD.validate_python({"task": "search", "id": "1", "query": "x", "relevant": ["b"]})
    other = RECORD.validate_python({"task": "search", "id": "2", "query": "y", "relevant": ["z"]})
    found = {"passages": [{"source": "a"}, {"source": "a"}, {"source": "b"}]}
    scores = search.score([(record, found), (other, {"passages": []})])
    assert figure(scores, "MRR@10") == 0.25
    assert figure(scores, "hit@1") == 0
    assert figure(scores, "hit@5") == 0.5


def test_translations_are_held_against_their_source_and_their_references():
    def record(name, target="de"):
        body = {"task": "translate", "id": name, "target": target, "source": "Pay {sum} before the 12th of this month."}
        return RECORD.validate_python({**body, "reference": "Zahlen Sie {sum} vor dem 12. dieses Monats."})

    right = {"text": "Zahlen Sie {sum} vor dem 12. dieses Monats.", "issues": []}
    wrong = {"text": "Please pay the whole sum before the 13th of this month.", "issues": [{}]}
    scores = translations.score([(record("1"), right), (record("2", "German"), wrong)])
    assert figure(scores, "BLEU into de") == pytest.approx(100)
    assert figure(scores, "chrF++ into German") < 20
    for name in ("placeholders and tags kept", "numbers kept", "right language", "without flags"):
        assert figure(scores, name) == 0.5


def test_summaries_with_numbers_of_their_own_are_seen():
    def record(name):
        return RECORD.validate_python({"task": "summarize", "id": name, "text": TEXT, "reference": TEXT})

    scores = summaries.score([(record("1"), {"text": TEXT}), (record("2"), {"text": TEXT.replace("12", "13")})])
    assert figure(scores, "numbers borne out") == 0.5
    assert figure(scores, "ROUGE-1") == pytest.approx((1 + 10 / 11) / 2)


def test_pictures_are_judged_by_words_letters_and_fields():
    body = {"task": "describe", "image": "x.png", "text": "TOTAL 9.90 EUR", "fields": {"total": "9.90", "date": "1/2"}}
    record = RECORD.validate_python({**body, "id": "1"})
    said = {"text": '{"total": "9.90", "date": "1/3"}', "facts": [{"lines": [{"text": "TOTAL"}, {"text": "9.80 EUR"}]}]}
    found = {"name": "x.png", "values": {"total": "9.90", "date": "1/2"}}
    assert figure(pictures.score([(record, {**said, "text": "", "fields": [found]})]), "fields right") == 1
    scores = pictures.score([(record, said)])
    assert figure(scores, "words read") == pytest.approx(2 / 3)
    assert figure(scores, "character error rate") == pytest.approx(1 / 12)
    assert figure(scores, "fields right") == 0.5


def test_words_of_all_scripts_count():
    assert rouge("привет мир", ["привет, мир!"])["rouge1"] == 1
    assert rouge("a b c", ["x y", "a b c d"])["rougeL"] == pytest.approx(6 / 7)
    assert edits("kitten", "sitting") == 3
    assert language_of("12.05.2026 OV-1001") == ""
    assert same_language("German", "Die Fähre legt jeden Morgen um neun Uhr ab.")
    assert same_language("fr-CA", "Die Fähre legt jeden Morgen um neun Uhr ab.") is False
    assert same_language("Klingon", "Die Fähre legt jeden Morgen um neun Uhr ab.") is None


def test_a_strip_shows_value_and_interval_of_each_model():
    from datetime import UTC, datetime

    from workers.evals.figures import Figure, Scores
    from workers.evals.report.outcome import ModelOutcome, Outcome
    from workers.evals.report.strip import strips

    def model(name, value, low, high):
        one = Figure(task="chat", name="hit@1", value=value, low=low, high=high, n=9)
        return ModelOutcome(model=name, records=9, scores=Scores(figures=[one]))

    models = [model("a", 0.5, 0.4, 0.6), model("b", 1.0, 0.9, 1.0)]
    made = Outcome(set="s", title="s", licence="", digest="", at=datetime.now(UTC), phiq="0", machine="", models=models)
    scale, line, legend = strips(made)
    assert scale.endswith("1")
    assert line[len("chat: hit@1  ") :] == " " * 20 + "─" * 5 + "●" + "─" * 5 + " " * 14 + "─" * 5 + "○"
    assert legend.split() == ["●", "a", "○", "b"]
    assert max(map(len, strips(made, 40))) <= 40


def test_what_failed_is_told_once_with_its_reason_and_hides_no_answer_that_was_bad():
    from workers.evals.answers import Answer
    from workers.evals.load import About, EvalSet
    from workers.evals.metrics import measure
    from workers.evals.report.outcome import ModelOutcome, failures, outcome
    from workers.evals.report.page import page

    lines = [
        RECORD.validate_python({"task": "translate", "id": str(n), "source": "A.", "target": "de"}) for n in "123456"
    ]
    records = [*lines, asked("7", answerable=False)]
    error = {"code": "needs_model", "message": "Translation needs a model.", "hint": "Get one."}
    answers = {record.id: Answer(id=record.id, asked="", seconds=9, error=error) for record in lines}
    answers["7"] = Answer(id="7", asked="", seconds=1, result=result())
    scores = measure(records, answers)
    assert [one.task for one in scores.figures if one.name.startswith("seconds")] == ["chat", "chat"]
    (failure,) = failures(records, answers)
    assert (failure.task, failure.count, failure.of) == ("translate", 6, 6)
    made = ModelOutcome(model="m", records=7, failures=[failure], scores=scores)
    chosen = EvalSet("s", Path(), About(), tuple(records), "d")
    html = page(outcome(chosen, [made]), chosen, [answers])
    assert "6 of 6 failed: needs_model. Translation needs a model. Get one." in html
    assert html.count("<details>") == 2
    assert "7 <span" in html
