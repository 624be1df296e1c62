"""Measure the extractive engine: answers, when it abstains, summaries, and reading of pictures.

    python benchmarks/bench_extractive.py DATA_FOLDER [--only answers,abstaining,dialogues,meetings,receipts]

DATA_FOLDER holds clapnq_dev.jsonl (ClapNQ: questions, passages, long answers), dialogsum_dev.jsonl (DialogSum),
qmsum_val.jsonl (QMSum: meetings with questions) and sroie/ (receipts: jpg and csv). All goes through the agents as
jobs do; the only stand-in is a retriever that holds ClapNQ's passages. ROUGE is without stemming. Intervals are 95%
bootstrap intervals over the questions, dialogues or receipts.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from agents.calibration import Calibration, Judged, held_out, rates
from agents.contract import ChatInput, ChatResult, Message, SourceText, SummarizeInput
from agents.extractive.chat import ChatConfig, build_chat, judge
from agents.extractive.evidence import choose, rank_sentences
from agents.extractive.question import understand
from agents.extractive.summarize import build_summarize
from agents.extractive.support import signs, support
from agents.extractive.vectors import embed
from knowledge.embed import load_embedder
from knowledge.types import Passage
from tools.pictures import open_picture
from tools.read_image_text import read_lines, rows
from tools.receipt import receipt_fields
from tools.sentences import split_sentences

SAMPLES = 2000


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    before = [0] * (len(other) + 1)
    for word in one:
        row = [0]
        for at, against in enumerate(other, start=1):
            row.append(before[at - 1] + 1 if word == against else max(before[at], row[-1]))
        before = row
    return before[-1]


def f_measure(shared: int, said: int, wanted: int) -> float:
    return 2 * shared / (said + wanted) if shared else 0.0


def rouge_l(said: str, wanted: str) -> float:
    one, other = words(said), words(wanted)
    return f_measure(common_length(one, other), len(one), len(other))


def rouge_1(said: str, wanted: str) -> float:
    one, other = Counter(words(said)), Counter(words(wanted))
    return f_measure((one & other).total(), one.total(), other.total())


def edits(one: str, other: str) -> int:
    """Levenshtein distance, a row at a time."""
    against = np.frombuffer(other.encode("utf-32-le"), dtype=np.uint32)
    row = np.arange(len(against) + 1)
    for at, char in enumerate(np.frombuffer(one.encode("utf-32-le"), dtype=np.uint32), start=1):
        best = np.minimum(row[1:] + 1, row[:-1] + (against != char))
        steps = np.concatenate([[at], best]) - np.arange(len(row))
        row = np.minimum.accumulate(steps) + np.arange(len(row))
    return int(row[-1])


def interval(values: Sequence[float], weights: Sequence[float] | None = None) -> str:
    """Mean (or the ratio to ``weights``) with its interval."""
    tops = np.asarray(values, dtype=float)
    parts = np.ones_like(tops) if weights is None else np.asarray(weights, dtype=float)
    picked = np.random.default_rng(7).integers(0, len(tops), (SAMPLES, len(tops)))
    low, high = np.percentile(tops[picked].sum(axis=1) / parts[picked].sum(axis=1), [2.5, 97.5])
    return f"{tops.sum() / parts.sum():.3f} [{low:.3f}, {high:.3f}] of {len(tops)}"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@lru_cache
def clapnq(folder: Path) -> list[tuple[dict[str, Any], Passage]]:
    """Each question with its passage, scored as the store would: the cosine to title and text."""
    found = records(folder / "clapnq_dev.jsonl")
    questions = embed(load_embedder(), [record["question"] for record in found])
    passages = embed(load_embedder(), [f"{record['title']}\n{record['passage']}" for record in found])
    scores = (questions * passages).sum(axis=1).tolist()
    return [
        (record, Passage(id=str(at), text=record["passage"], source="clapnq", title=record["title"], score=score))
        for at, (record, score) in enumerate(zip(found, scores, strict=True))
    ]


class AllPassages:
    """A retriever over all of ClapNQ's passages."""

    def __init__(self, folder: Path) -> None:
        kept = {passage.text: passage for _, passage in clapnq(folder)}
        self._passages = list(kept.values())
        self._vectors = embed(load_embedder(), [f"{passage.title}\n{passage.text}" for passage in self._passages])

    def without(self, title: str) -> AllPassages:
        """The same but for what stands under a title."""
        kept = [at for at, passage in enumerate(self._passages) if passage.title != title]
        other = object.__new__(AllPassages)
        other._passages, other._vectors = [self._passages[at] for at in kept], self._vectors[kept]
        return other

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:  # noqa: ARG002 - single questions
        scores = self._vectors @ embed(load_embedder(), [query])[0]
        best = np.argsort(-scores)[:top_k]
        return [self._passages[at].model_copy(update={"score": float(scores[at])}) for at in best]


def answers(folder: Path) -> None:
    quoted, lead = [], []
    for record, passage in clapnq(folder):
        if record["answerable"]:
            chosen = choose(rank_sentences(record["question"], [passage], load_embedder()))
            said = " ".join(item.span.text for item in chosen)
            quoted.append(max(rouge_l(said, wanted) for wanted in record["answers"]))
            said = " ".join(span.text for span in split_sentences(passage.text)[:3])
            lead.append(max(rouge_l(said, wanted) for wanted in record["answers"]))
    print(f"answers, ClapNQ: ROUGE-L {interval(quoted)}; the first three sentences {interval(lead)}")


def abstaining(folder: Path) -> None:
    config = ChatConfig()
    bands: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    seen, judged = [], []
    for record, passage in clapnq(folder):
        asked = understand([Message(role="user", content=record["question"])])
        ranked = rank_sentences(asked.question, [passage], load_embedder())
        bands[record["answerable"]][judge(asked, passage, ranked, config)] += 1
        seen.append(signs(asked.question, passage, ranked))
        judged.append(Judged(record["answerable"], support(asked.question, passage, ranked), passage.score))
    for known, name in ((True, "answerable"), (False, "unanswerable, with a passage on the matter")):
        print(f"abstaining, ClapNQ, {name}: {dict(bands[known].most_common())}")
    shipped = rates(judged, Calibration())
    print(f"  as shipped (fitted on these): answered {shipped.answered:.3f}, falsely {shipped.falsely:.3f}")
    for at_most in (0.05, 0.1, 0.2):
        found = held_out(judged, at_most)
        print(f"  thresholds held out, at most {at_most:.0%}: {found.answered:.3f}, falsely {found.falsely:.3f}")
    weights_held_out(np.asarray(seen), np.asarray([one.answerable for one in judged], dtype=float))
    absent_topics(folder)


def weights_held_out(seen: Any, answerable: Any) -> None:
    """Weights and threshold both fitted on four fifths, as the shipped ones are on all, 20 times over."""
    answered, falsely = [], []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(seen))
        hits = np.zeros(len(seen))
        for fold in range(5):
            test = order[fold::5]
            train = np.setdiff1d(order, test)
            weights, bias = logistic(seen[train], answerable[train])
            enough = np.quantile((seen[train] @ weights + bias)[answerable[train] == 0], 0.9)
            hits[test] = seen[test] @ weights + bias >= enough
        answered.append(hits[answerable == 1])
        falsely.append(hits[answerable == 0])
    print(
        f"  weights and threshold held out, 10%: answered {interval(np.mean(answered, axis=0))}, "
        f"falsely {interval(np.mean(falsely, axis=0))}"
    )
    weights, bias = logistic(seen, answerable)
    print(f"  weights fitted on all: {np.round(weights, 2).tolist()}, bias {bias:.2f}")


def logistic(seen: Any, answerable: Any) -> tuple[Any, float]:
    """Weights and bias of a logistic regression, by Newton's method, with a light ridge on scaled signs."""
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-9
    scaled = np.c_[np.ones(len(seen)), (seen - mean) / scale]
    ridge = np.r_[1e-6, np.ones(seen.shape[1])]
    weights = np.zeros(scaled.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-scaled @ weights))
        slope = scaled.T @ (likely - answerable) + ridge * weights
        curve = scaled.T @ (scaled * (likely * (1 - likely))[:, None]) + np.diag(ridge)
        weights -= np.linalg.solve(curve, slope)
    own = weights[1:] / scale
    return own, float(weights[0] - (own * mean).sum())


def absent_topics(folder: Path) -> None:
    """Each answerable question asked of all passages, and of all but those under its own title."""
    everything = AllPassages(folder)
    bands: dict[str, list[str]] = {"there": [], "absent": []}
    cosines: dict[str, list[float]] = {"there": [], "absent": []}
    rightly = []
    for record, passage in clapnq(folder):
        if record["answerable"]:
            request = ChatInput(messages=[Message(role="user", content=record["question"])])
            for name, shelf in (("there", everything), ("absent", everything.without(record["title"]))):
                result = build_chat(shelf, load_embedder()).invoke(request).result
                assert isinstance(result, ChatResult)
                bands[name].append(result.band)
                cosines[name].append(result.passages[0].score)
                if name == "there":
                    cited = {one.text for one in result.passages[:1]} if result.band == "answered" else set()
                    rightly.append(float(passage.text in cited))
    print(f"  over all passages: answered from the right passage {interval(rightly)}")
    for name, found in bands.items():
        print(
            f"  topic {name}: not abstained {interval([float(band != 'abstained') for band in found])}; "
            f"answered {interval([float(band == 'answered') for band in found])}"
        )
    edge = np.quantile(cosines["there"], 0.08)
    false = [float(score >= edge) for score in cosines["absent"]]
    print(f"  where 92% of the topics there are let through, of those absent {interval(false)}")


def dialogues(folder: Path) -> None:
    """DialogSum's licence is non-commercial: it measures here, nothing is fitted on it."""
    chain = build_summarize(load_embedder())
    found = records(folder / "dialogsum_dev.jsonl")
    for count in (1, 2, 3, 5):
        scores = []
        for record in found:
            request = SummarizeInput(texts=[SourceText(text=record["dialogue"])], sentences=count)
            scores.append(rouge_1(_said(chain, request), record["summary"]))
        print(f"dialogues, DialogSum, {count} turns: ROUGE-1 {interval(scores)}")
    leads = [rouge_1("\n".join(record["dialogue"].splitlines()[:2]), record["summary"]) for record in found]
    print(f"  the first two turns: {interval(leads)}")


class Remembering:
    """The embedder, asked once for each text: the same meetings are summarised many times."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def embed_array(self, texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, load_embedder().embed_array(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def meetings(folder: Path) -> None:
    chain = build_summarize(Remembering())
    found = records(folder / "qmsum_val.jsonl")
    texts = ["\n".join(f"{turn['speaker']}: {turn['content']}" for turn in m["meeting_transcripts"]) for m in found]
    for kind, counts in (("specific", (3, 5, 8, 12)), ("general", (5, 10))):
        for count in counts:
            scores, lengths = [], []
            for meeting, text in zip(found, texts, strict=True):
                for asked in meeting[f"{kind}_query_list"]:
                    focus = asked["query"] if kind == "specific" else None
                    request = SummarizeInput(texts=[SourceText(text=text)], sentences=count, focus=focus)
                    said = _said(chain, request)
                    scores.append(rouge_1(said, asked["answer"]))
                    lengths.append(len(words(said)))
            print(f"meetings, QMSum, {kind} {count}: ROUGE-1 {interval(scores)}; {np.mean(lengths):.0f} words")


def _said(chain: Any, request: SummarizeInput) -> str:
    return chain.invoke(request).result.text


def receipts(folder: Path) -> None:
    """Words as they are spaced there ("TEL : 07" is three), and by letters and digits, however they are spaced."""
    hits, wanted, wrong, chars = [], [], [], []
    plain_hits, plain_wanted = [], []
    right: dict[str, list[float]] = {}
    started = time.perf_counter()
    paths = sorted((folder / "sroie").glob("*.jpg"))
    for path in paths:
        lines = read_lines(open_picture(path.read_bytes(), path.name))
        said = "\n".join(line.text for line in lines)
        truth = "\n".join(_boxes(path.with_suffix(".csv")))
        one, other = Counter(said.upper().split()), Counter(truth.upper().split())
        hits.append((one & other).total())
        wanted.append(other.total())
        one, other = Counter(words(said)), Counter(words(truth))
        plain_hits.append((one & other).total())
        plain_wanted.append(other.total())
        for name, value in json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).items():
            right.setdefault(name, []).append(float(bare(receipt_fields(lines)[name]) == bare(value)))
        plain = "".join(truth.upper().split())
        wrong.append(edits("".join(said.upper().split()), plain))
        chars.append(len(plain))
    took = (time.perf_counter() - started) / len(paths)
    print(f"receipts, SROIE: words found {interval(plain_hits, plain_wanted)}; with their punctuation and spaces")
    print(f"  {interval(hits, wanted)}; CER {interval(wrong, chars)}; {took:.1f} s each")
    for name, values in right.items():
        print(f"  {name} by rules, letters and digits alike: {interval(values)}")


def bare(text: str | None) -> str:
    return "".join(words(text or ""))


def _boxes(path: Path) -> list[str]:
    """The transcribed pieces, in the reading order that our own are brought to."""
    from tools.types import TextLine

    pieces = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.split(",", 8)
        if len(parts) == 9:
            xs, ys = [int(part) for part in parts[0:8:2]], [int(part) for part in parts[1:8:2]]
            pieces.append(TextLine(text=parts[8], score=1.0, box=(min(xs), min(ys), max(xs), max(ys))))
    return [piece.text for row in rows(pieces) for piece in row]


def main() -> None:
    parts: dict[str, Callable[[Path], None]] = {
        part.__name__: part for part in (answers, abstaining, dialogues, meetings, receipts)
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default=",".join(parts), help="parts to run, with commas between")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        parts[name](arguments.data)


if __name__ == "__main__":
    main()
