"""Measure what the checks catch when a model spoils its answers, and how often they cry wolf.

    python -m benchmarks.bench_fidelity DATA_FOLDER [--only translations,answers,summaries] [--lines 300] [--json FILE]

DATA_FOLDER holds ntrex.jsonl (sentences in five languages) and clapnq_dev.jsonl (questions, passages, answers). The
agents run as jobs run them; only the model is a stand-in that says what people wrote, and then spoils it as
`fake:faithful?corrupt=…` does (workers/engines/fake_faithful.py). Only what the spoiling has changed counts. Intervals
are 95% bootstrap intervals over sentences or questions.

translations: NTREX between all pairs of its languages, a document of all lines for each; the stand-in gives the
    translation by people. Caught: the line is flagged in the report. A false alarm: a line flagged as people wrote it.
answers: ClapNQ's questions that can be answered, with their passage among four others that are near. The stand-in
    quotes; caught: nothing is shown but whole sentences of the passages they cite. False alarms: a faithful quotation,
    or a sentence of the answer that people wrote, that is not shown.
summaries: ClapNQ's passages, quoted as a summary. Caught: flagged in the result, or not in it.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import BaseMessage

from agents.chat import build_chat
from agents.checks.markers import cited_markers, without_markers
from agents.contract import ChatInput, ChatResult, Message, SourceText, SummarizeInput, TranslateInput
from agents.prompts.languages import language_name
from agents.summarize import build_summarize
from agents.translate import build_translate
from benchmarks.common.report import save, table
from knowledge.embed import load_embedder
from knowledge.types import Passage
from tools.sentences import split_sentences
from workers.engines import fake_faithful
from workers.engines.fake import FakeChatModel, Script
from workers.engines.fake_words import pretend
from workers.jobs import GenerationOptions

SAMPLES = 2000
LANGUAGES = ("en", "de", "fr", "hr", "es")
PLACEHOLDER = " ({order_id})"


class Stand(FakeChatModel):
    """A model that says what ``answer`` makes of its prompt: text and finish reason."""

    answer: Callable[[Sequence[BaseMessage]], tuple[str, str]]

    def _faithful(self, messages: list[BaseMessage], stops: list[str]) -> tuple[list[str], str]:
        text, finish = self.answer(messages)
        return self._within(text, stops, finish)


def stand(answer: Callable[[Sequence[BaseMessage]], tuple[str, str]]) -> Stand:
    room = 16_000
    return Stand(
        script=Script(text="faithful", context=4 * room),
        options=GenerationOptions(),
        halt=threading.Event(),
        answer=answer,
        profile={"max_input_tokens": 2 * room, "max_output_tokens": room},
    )


def rate(hits: Sequence[bool]) -> dict[str, float]:
    """A share with its interval."""
    values = np.asarray(hits, dtype=float)
    if not len(values):
        return {"share": float("nan"), "low": float("nan"), "high": float("nan"), "of": 0}
    drawn = np.random.default_rng(7).integers(0, len(values), (SAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return {"share": float(values.mean()), "low": float(low), "high": float(high), "of": len(values)}


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# -- translations ------------------------------------------------------------------------------------------------


def translations(folder: Path, lines: int) -> dict[str, Any]:
    rows = [
        {code: " ".join(row[code].split()) for code in LANGUAGES} for row in records(folder / "ntrex.jsonl")[:lines]
    ]
    figures: dict[str, Any] = {}
    pairs = [(source, target) for source in LANGUAGES for target in LANGUAGES if source != target]
    plain = {pair: flagged(rows, *pair, "") for pair in pairs}
    for target in LANGUAGES:
        hits = [hit for pair in pairs if pair[1] == target for hit, _ in plain[pair].values()]
        figures[f"false alarms into {target}"] = rate(hits)
    figures["false alarms"] = rate([hit for pair in pairs for hit, _ in plain[pair].values()])
    for corrupt in fake_faithful.CORRUPTIONS:
        if corrupt == "marker":
            continue
        hits = []
        marked = [{code: text + PLACEHOLDER for code, text in row.items()} for row in rows]
        used = marked if corrupt == "placeholder" else rows
        for pair in pairs:
            right = flagged(used, *pair, "") if corrupt == "placeholder" else plain[pair]
            wrong = flagged(used, *pair, corrupt)
            hits += [hit for line, (hit, text) in wrong.items() if text != right[line][1]]
        figures[f"caught: {corrupt}"] = rate(hits)
    return figures


def flagged(rows: list[dict[str, str]], source: str, target: str, corrupt: str) -> dict[str, tuple[bool, str]]:
    """By source line: whether its translation is flagged, and what the stand-in said."""
    known = {row[source]: {language_name(code): text for code, text in row.items()} for row in rows}

    def say(line: str, language: str) -> str:
        own = known.get(line.strip(), {})
        return own.get(language) or pretend(line, language)

    def answer(messages: Sequence[BaseMessage]) -> tuple[str, str]:
        return fake_faithful.reply(messages, corrupt, say=say)

    # Each line with a document of its own, so that a flag belongs to it and no other: groups are the agents' business.
    found: dict[str, tuple[bool, str]] = {}
    chain = build_translate(stand(answer))
    for line in known:
        result = chain.invoke(TranslateInput(text=line, source=source, target=target)).result
        found[line] = (bool(result.issues), result.text)
    return found


# -- answers -----------------------------------------------------------------------------------------------------


@lru_cache
def clapnq(folder: Path) -> list[tuple[dict[str, Any], list[Passage]]]:
    """Each question that can be answered, with its passage and the four nearest others, in the order of nearness."""
    found = records(folder / "clapnq_dev.jsonl")
    embedder = load_embedder()
    texts = [f"{record['title']}\n{record['passage']}" for record in found]
    passages, questions = (
        np.asarray(embedder.embed_array(texts)),
        np.asarray(embedder.embed_array([record["question"] for record in found])),
    )
    out = []
    for at, record in enumerate(found):
        if not record["answerable"]:
            continue
        scores = passages @ questions[at]
        near = [other for other in np.argsort(-scores)[:6] if found[other]["passage"] != record["passage"]][:4]
        order = sorted([at, *near], key=lambda one: -scores[one])
        out.append((record, [_passage(found[one], one, float(scores[one])) for one in order]))
    return out


def _passage(record: dict[str, Any], at: int, score: float) -> Passage:
    return Passage(id=str(at), text=record["passage"], source=str(at), title=record["title"], score=score)


class Given:
    """A retriever that found these."""

    def __init__(self, passages: list[Passage]) -> None:
        self._passages = passages

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:  # noqa: ARG002 - what is found is given
        return self._passages[:top_k]


def answers(folder: Path, lines: int) -> dict[str, Any]:
    asked = clapnq(folder)[:lines]
    figures: dict[str, Any] = {}
    faithful = [reply_to(*one, "") for one in asked]
    figures["false alarms: quotations not shown"] = rate(
        [sentence not in result.text for said, result in faithful for sentence in sentences(said)]
    )
    figures["shown that is no whole sentence of its passage, unspoilt"] = rate([leaks(one) for _, one in faithful])
    for corrupt in fake_faithful.CORRUPTIONS:
        if corrupt == "placeholder":
            continue
        spoilt = [reply_to(*one, corrupt) for one in asked]
        hits = [not leaks(result) for (said, result), (right, _) in zip(spoilt, faithful, strict=True) if said != right]
        figures[f"caught: {corrupt}"] = rate(hits)
    by_people = [by_hand(*one) for one in asked]
    figures["false alarms: sentences by people not shown"] = rate([hit for one in by_people for hit in one])
    return figures


def reply_to(record: dict[str, Any], passages: list[Passage], corrupt: str) -> tuple[str, ChatResult]:
    """What the stand-in said, and what came of it."""
    said: list[str] = []

    def answer(messages: Sequence[BaseMessage]) -> tuple[str, str]:
        text, finish = fake_faithful.reply(messages, corrupt)
        said.append(text)
        return text, finish

    result = ask(record, passages, answer)
    return "".join(said[-1:]), result


def ask(record: dict[str, Any], passages: list[Passage], answer: Any) -> ChatResult:
    request = ChatInput(messages=[Message(role="user", content=record["question"])])
    result = build_chat(stand(answer), Given(passages)).invoke(request).result
    assert isinstance(result, ChatResult)
    return result


def leaks(result: ChatResult) -> bool:
    """Whether something is shown that is no whole sentence of a passage cited for it."""
    if result.band != "answered":
        return False
    whole = [{one_line(span.text) for span in split_sentences(passage.text)} for passage in result.passages]
    for citation in result.citations:
        shown = result.text[citation.answer_start : citation.answer_end]
        if not all(one_line(without_markers(shown)) in whole[marker - 1] for marker in cited_markers(shown)):
            return True
    return False


def by_hand(record: dict[str, Any], passages: list[Passage]) -> list[bool]:
    """For each sentence that people wrote as the answer, whether it is withheld."""
    place = next(number for number, passage in enumerate(passages, 1) if passage.text == record["passage"])
    own = [one_line(span.text) for span in split_sentences(record["answers"][0])]
    text = " ".join(f"{sentence} [{place}]" for sentence in own)
    result = ask(record, passages, lambda _: (text, "stop"))
    return [sentence not in one_line(result.text) for sentence in own]


def sentences(said: str) -> list[str]:
    return [part.strip() for part in re.split(r"\[\d+\]", said) if part.strip()]


def one_line(text: str) -> str:
    return " ".join(text.split())


# -- summaries ---------------------------------------------------------------------------------------------------


def summaries(folder: Path, lines: int) -> dict[str, Any]:
    found = [record["passage"] for record, _ in clapnq(folder)[:lines]]
    right = [summary(text, "") for text in found]
    figures: dict[str, Any] = {"false alarms": rate([alarm for _, alarm in right])}
    for corrupt in ("number", "unsupported", "language", "cut", "limit"):
        spoilt = [summary(text, corrupt) for text in found]
        hits = [
            alarm or fake_faithful.UNSUPPORTED not in said if corrupt == "unsupported" else alarm
            for (said, alarm), (faithful, _) in zip(spoilt, right, strict=True)
            if said != faithful
        ]
        figures[f"caught: {corrupt}"] = rate(hits)
    return figures


def summary(text: str, corrupt: str) -> tuple[str, bool]:
    """What the summary says, and whether the result says that something is wrong with it."""
    model = stand(lambda messages: fake_faithful.reply(messages, corrupt))
    result = build_summarize(model).invoke(SummarizeInput(texts=[SourceText(text=text)], sentences=3)).result
    flags = getattr(result, "issues", None) or getattr(result, "flags", None) or []
    return result.text, bool(flags) or result.finish_reason == "length"


def main() -> None:
    parts: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        part.__name__: part for part in (translations, answers, summaries)
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default=",".join(parts), help="parts to run, with commas between")
    parser.add_argument("--lines", type=int, default=300, help="sentences and questions at most")
    parser.add_argument("--json", type=Path, help="where the figures go; else bench-results/")
    arguments = parser.parse_args()
    figures = {name: parts[name](arguments.data, arguments.lines) for name in arguments.only.split(",")}
    for name, own in figures.items():
        print(f"\n{name}\n{table(['what', 'share', 'low', 'high', 'of'], list(_rows(own)))}")
    print(f"\nsaved: {save('fidelity', figures, arguments.json)}")


def _rows(figures: dict[str, Any]) -> Iterable[list[Any]]:
    for name, one in figures.items():
        yield [name, *(f"{one[key]:.4f}" for key in ("share", "low", "high")), one["of"]]


if __name__ == "__main__":
    main()
