"""Make sets for `phiq eval` from public data, as examples of larger ones; nothing of the data is part of phiq.

    python -m benchmarks.eval_sets DATA_FOLDER SETS_FOLDER
    phiq eval SETS_FOLDER/clapnq --here

Sets: clapnq (questions, their passages, answers), mtrag (conversations), dialogsum and qmsum (summaries), ntrex
(translations of English into four languages), sroie (receipts). Each keeps the licence of its data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Rows = Iterator[dict[str, Any]]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def clapnq(data: Path, _: Path) -> Rows:
    for record in records(data / "clapnq_dev.jsonl"):
        source = passage(record["passage"])
        yield {
            "id": record["id"],
            "question": record["question"],
            "answerable": record["answerable"],
            "answer": record["answers"],
            "passages": [{**source, "title": record["title"]}],
        }


def mtrag(data: Path, _: Path) -> Rows:
    speakers = {"user": "user", "agent": "assistant"}
    for record in records(data / "mtrag_un.jsonl"):
        if "UNDERSPECIFIED" in record["answerability"]:
            continue  # the right answer is a question
        can = "UNANSWERABLE" not in record["answerability"] and bool(record["contexts"])
        yield {
            "id": record["task_id"],
            "messages": [{"role": speakers[turn["speaker"]], "content": turn["text"]} for turn in record["input"]],
            "answerable": can,
            "answer": [turn["text"] for turn in record["targets"]] if can else [],
            "passages": list({one["id"]: one for one in map(passage, texts(record))}.values()),
        }


def dialogsum(data: Path, _: Path) -> Rows:
    for record in records(data / "dialogsum_dev.jsonl"):
        yield {
            "id": record["fname"],
            "text": record["dialogue"],
            "reference": record["summary"],
            "input": {"sentences": 2},
        }


def qmsum(data: Path, _: Path) -> Rows:
    for number, meeting in enumerate(records(data / "qmsum_val.jsonl")):
        text = "\n".join(f"{turn['speaker']}: {turn['content']}" for turn in meeting["meeting_transcripts"])
        for at, asked in enumerate(meeting["specific_query_list"]):
            focus = {"focus": asked["query"], "input": {"sentences": 5}}
            yield {"id": f"{number}-{at}", "text": text, "reference": asked["answer"], **focus}


def ntrex(data: Path, _: Path) -> Rows:
    for number, record in enumerate(records(data / "ntrex.jsonl")):
        target = ("de", "fr", "hr", "es")[number % 4]
        languages = {"language": "en", "target": target}
        yield {"id": str(number), "source": record["en"], "reference": record[target], **languages}


def sroie(data: Path, folder: Path) -> Rows:
    for picture in sorted((data / "sroie").glob("*.jpg")):
        shutil.copy(picture, folder / picture.name)
        boxes = picture.with_suffix(".csv").read_text(encoding="utf-8", errors="replace").splitlines()
        read = "\n".join(line.split(",", 8)[8] for line in boxes if line.count(",") >= 8)
        fields = json.loads(picture.with_suffix(".json").read_text(encoding="utf-8"))
        yield {"id": picture.stem, "image": picture.name, "text": read, "fields": fields, "input": {"form": "receipt"}}


def texts(record: dict[str, Any]) -> list[str]:
    return [one["text"].strip() for one in record["contexts"] if one["text"].strip()]


def passage(text: str) -> dict[str, str]:
    """The same text is the same passage wherever it stands."""
    return {"id": hashlib.sha256(text.encode()).hexdigest()[:12], "text": text}


SETS: dict[str, tuple[str, str, Callable[[Path, Path], Rows]]] = {
    "clapnq": ("chat", "Apache-2.0", clapnq),
    "mtrag": ("chat", "Apache-2.0", mtrag),
    "dialogsum": ("summarize", "CC BY-NC-SA 4.0: for measuring only", dialogsum),
    "qmsum": ("summarize", "MIT", qmsum),
    "ntrex": ("translate", "CC BY-SA 4.0", ntrex),
    "sroie": ("describe", "MIT (repository)", sroie),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", type=Path)
    arguments = parser.parse_args()
    for name, (task, licence, make) in SETS.items():
        folder = arguments.sets / name
        folder.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps(row, ensure_ascii=False) for row in make(arguments.data, folder)]
        (folder / f"{task}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (folder / "set.json").write_text(json.dumps({"title": name, "licence": licence}) + "\n", encoding="utf-8")
        print(f"{folder}: {len(rows)} records")


if __name__ == "__main__":
    main()
