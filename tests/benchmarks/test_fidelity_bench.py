"""The measurement of the checks measures: spoilt answers are told from faithful ones, in a few made-up lines."""

import json

from benchmarks import bench_fidelity

ROWS = [
    {
        "en": "The ferry to the island leaves at 9 every morning.",
        "de": "Die Fähre zur Insel legt jeden Morgen um 9 Uhr ab.",
        "fr": "Le ferry pour l'île part chaque matin à 9 heures.",
        "hr": "Trajekt za otok polazi svako jutro u 9 sati.",
        "es": "El transbordador a la isla sale cada mañana a las 9.",
    }
]
PASSAGES = [
    "The ferry to the island leaves at 9 every morning. It takes 40 minutes. Dogs travel free of charge.",
    "The lighthouse was built in 1886 by a crew of 30 men. It is open on Sundays.",
]


def test_translations_are_said_as_given_and_spoilt(tmp_path):
    (tmp_path / "ntrex.jsonl").write_text(json.dumps(ROWS[0]), "utf-8")
    figures = bench_fidelity.translations(tmp_path, 10)
    assert figures["false alarms"]["of"] == 20
    assert figures["false alarms"]["share"] == 0
    assert figures["caught: number"]["share"] == figures["caught: placeholder"]["share"] == 1


def test_answers_leak_or_they_do_not(tmp_path):
    questions = ("When does the ferry leave?", "When was the lighthouse built?")
    rows = [
        {"question": asked, "answerable": True, "title": "T", "passage": text, "answers": [text.split(". ")[0] + "."]}
        for asked, text in zip(questions, PASSAGES, strict=True)
    ]
    (tmp_path / "clapnq_dev.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    figures = bench_fidelity.answers(tmp_path, 10)
    assert figures["false alarms: quotations not shown"]["share"] == 0
    assert figures["caught: unsupported"] == {"share": 1.0, "low": 1.0, "high": 1.0, "of": 2}
    assert figures["caught: number"]["share"] == 1
