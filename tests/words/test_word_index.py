"""The word index: terms, hostile queries, filters, files that are damaged or of another version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from knowledge.types import Filters
from knowledge.words.index import Entry, WordIndex
from knowledge.words.terms import MOST_QUERY_TERMS, query_terms, terms


@pytest.fixture
def index(tmp_path: Path) -> Iterator[WordIndex]:
    made = WordIndex(tmp_path / "phiq-x.sqlite3")
    made.put(
        [
            Entry("code", "The error E-31 means that the cloud can't be reached", "a/errors.md", "en", 1000.0),
            Entry("reset", "Resetting the lamp: hold the ring", "a/lamp.md", "en", 2000.0),
            Entry("german", "Die Geräte werden zurückgesetzt", "b/lampe.md", "de", 3000.0),
            Entry("japanese", "東京の天気は晴れです", "b/tenki.md", "ja"),
        ]
    )
    yield made
    made.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("E-31", ["code"]),
        ("e31?", ["code"]),
        ("how is a lamp reset", ["reset"]),
        ("Gerät zurücksetzen", ["german"]),
        ("GERAT", ["german"]),
        ("天気", ["japanese"]),
    ],
)
def test_words_are_found_in_their_forms(index: WordIndex, query: str, found: list[str]) -> None:
    assert index.search(query, 5).ids[:1] == found


@pytest.mark.parametrize("query", ['"', 'a" OR "b', "NEAR(x y)", "terms: *", "x' --", "\x00", "-", "(" * 500, "😀", ""])
def test_no_query_can_break_out(index: WordIndex, query: str) -> None:
    assert index.search(query, 5).count == 4


def test_a_long_query_is_bounded() -> None:
    assert len(query_terms(" ".join(f"word{number}" for number in range(1000)), ("en", "de"))) == MOST_QUERY_TERMS


def test_common_words_count_only_where_there_are_no_others() -> None:
    assert query_terms("what is the lamp", ("en",)) == ["lamp"]
    assert query_terms("to be or not to be", ("en",)) == terms("to be or not to be")[:4]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (Filters(under=("a/",)), {"code", "reset"}),
        (Filters(under=("a/l", "b/")), {"reset", "german"}),
        (Filters(under=("%",)), set()),
        (Filters(languages=("de",)), {"german"}),
        (Filters(since=datetime.fromtimestamp(2000, UTC)), {"reset", "german"}),
        (Filters(until=datetime.fromtimestamp(2000, UTC)), {"code", "reset"}),
    ],
)
def test_filters(index: WordIndex, filters: Filters, left: set[str]) -> None:
    assert set(index.search("error lamp reset Geräte", 9, filters).ids) == left


def test_sources_by_their_beginnings(index: WordIndex) -> None:
    names = ["%/x", "a_b/ü.md", "aXb/y.md", "日本/道.md", "日本/𠀀.md", "a_b/\U0010fffd"]
    index.put([Entry(f"s{at}", "lamp", name) for at, name in enumerate([*names, *names])])
    known = {*names, *index.sources([""]).sources}
    assert len(known) == len(names) + 4
    for under in (["a"], ["a_"], ["%"], ["日本/"], ["日本/", "a_b/ü"], ["nothing"], [], [""]):
        there = sorted(one for one in known if one.startswith(tuple(under)))
        assert index.sources(under).sources == there, under
    assert (index.sources([""]).count, index.sources([""]).checked) == (16, False)


def test_words_of_most_passages_are_not_looked_up_in_a_large_index(
    index: WordIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.put([Entry(f"l{at}", f"The lamp has number {at}.", "l.md") for at in range(30)])
    small = index.search("lamp number 7", 50).ids
    monkeypatch.setattr("knowledge.words.index._LARGE", 20)
    assert small[0] == "l7"
    assert len(small) > 30
    assert index.search("lamp number 7", 50).ids == ["l7"]
    assert len(index.search("lamp", 50).ids) > 30, "they are where nothing else is asked"
    index.put([Entry(f"m{at}", "7", "m.md") for at in range(90)])
    assert "l3" in index.search("lamp 7", 200).ids, "the numbers are counted anew"


def test_put_replaces_and_remove_forgets(index: WordIndex) -> None:
    index.put([Entry("code", "Something else", "a/errors.md")])
    assert index.search("E-31", 5).ids == []
    assert index.search("else", 5).ids == ["code"]
    index.remove(["code", "never there"])
    assert index.search("else", 5).ids == []
    assert sorted(index.ids()) == ["german", "japanese", "reset"]


def test_what_was_removed_is_not_in_the_file_after_compacting(index: WordIndex) -> None:
    index.put([Entry("secret", "xylophonist " * 5, "s")])
    index.remove(["secret"])
    index.compact()
    left = b"".join(path.read_bytes() for path in index.path.parent.glob("phiq-x.sqlite3*"))
    assert b"xylophonist" not in left
    assert b"lamp" in left


def test_checked_holds_until_said_otherwise_or_restarted(index: WordIndex) -> None:
    assert not index.search("lamp", 1).checked
    assert index.claim()
    assert not index.claim()
    index.checked()
    assert index.search("lamp", 1).checked
    assert index.claim()
    index.unchecked()
    assert not index.search("lamp", 1).checked
    index.checked()
    index.close()
    assert not WordIndex(index.path).search("lamp", 1).checked


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "phiq-y.sqlite3"
    path.write_bytes(b"SQLite format 3\x00" + b"rubbish" * 1000)
    made = WordIndex(path)
    assert made.search("lamp", 1).count == 0
    made.close()


def test_an_index_of_another_version_is_emptied(index: WordIndex) -> None:
    index.close()
    with sqlite3.connect(index.path) as database:
        database.execute("UPDATE about SET value = 'older' WHERE name = 'terms'")
    database.close()
    again = WordIndex(index.path)
    assert again.search("lamp", 1).count == 0
    again.close()
