# ruff: noqa: RUF001 -- the marks of other scripts are the point here
"""Passages: exact places, never longer than the embedder sees, ids that stay."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.split import HEADER_TOKENS, split
from knowledge.types import Document, Section


@pytest.fixture(scope="module")
def count(embedder_cache: Path) -> Any:
    return load_embedder(EmbedderConfig(cache_dir=embedder_cache, threads=1)).count_tokens


def document(*texts: str, title: str = "Lamps", heading: str = "Lamps > Returns") -> Document:
    sections = tuple(Section(text=text, heading=heading) for text in texts)
    return Document(source="a.md", title=title, sections=sections, sha256="0" * 64)


def check(given: Document, count: Any) -> list[Any]:
    parts = split(given, count)
    for part in parts:
        text = given.sections[part.section].text
        assert text[part.passage.start : part.passage.end] == part.passage.text
        assert part.passage.text == part.passage.text.strip()
        assert count([part.embed_text])[0] <= 254
        assert part.embed_text.endswith(part.passage.text)
    assert len({part.passage.id for part in parts}) == len(parts)
    assert [part.ordinal for part in parts] == list(range(len(parts)))
    return parts


ENGLISH = "The lamp stands on the table and shines. It was made by hand in a small workshop near the sea! Was it dear? "
JAPANESE = "このランプは手作りです。机の上で光っています。海の近くの小さな工房で作られました。"
ARABIC = "المصباح على الطاولة ويضيء الغرفة كلها. صنع يدويا في ورشة صغيرة قرب البحر. "
THAI = "โคมไฟตั้งอยู่บนโต๊ะและส่องสว่างทั่วทั้งห้องทำด้วยมือในโรงงานเล็กๆใกล้ทะเล"


@pytest.mark.parametrize(
    "text",
    [ENGLISH * 60, JAPANESE * 60, ARABIC * 60, THAI * 60, "x" * 20_000, "🙂" * 3000, "a\n" * 3000, "- " * 3000 + "a"],
    ids=["en", "ja", "ar", "th", "base64", "emoji", "lines", "dashes"],
)
def test_all_scripts_are_cut_to_size_at_exact_places_and_nothing_is_lost(text: str, count: Any) -> None:
    parts = check(document(text), count)
    covered = "".join(part.passage.text for part in parts)
    assert [c for c in covered if c.isalnum()] == [c for c in text if c.isalnum()]


def test_sentences_stay_whole(count: Any) -> None:
    parts = check(document(ENGLISH * 60), count)
    assert all(part.passage.text[-1] in ".!?" for part in parts)
    assert all(part.passage.text[0] in "TIW" for part in parts)
    assert all(count([part.passage.text])[0] > 150 for part in parts[:-1])
    parts = check(document(JAPANESE * 60), count)
    assert all(part.passage.text[-1] == "。" for part in parts)


def test_title_and_heading_are_embedded_but_not_stored(count: Any) -> None:
    (part,) = check(document("Thirty days."), count)
    assert part.embed_text == "Lamps > Returns\nThirty days."
    (part,) = check(document("Thirty days.", title="The shop"), count)
    assert part.embed_text == "The shop\nLamps > Returns\nThirty days."
    assert part.passage.text == "Thirty days."


def test_a_long_title_leaves_room_for_the_text(count: Any) -> None:
    parts = check(document(ENGLISH * 20, title="long title " * 200, heading="長い見出し" * 40), count)
    for part in parts:
        header = part.embed_text[: -len(part.passage.text)]
        assert count([header])[0] <= HEADER_TOKENS


def test_what_has_no_words_makes_no_passage(count: Any) -> None:
    assert check(document("---\n***\n| | |\n"), count) == []


def test_repeated_texts_have_ids_of_their_own_and_ids_stay_when_text_is_put_in_before(count: Any) -> None:
    before = check(document("Same.", "Same.", "Other."), count)
    after = check(document("New first.", "Same.", "Same.", "Other."), count)
    assert {part.passage.id for part in before} < {part.passage.id for part in after}


def test_ids_differ_between_sources_and_headings(count: Any) -> None:
    one = split(document("Same."), count)[0].passage.id
    assert split(document("Same.", heading="Chairs"), count)[0].passage.id != one
    assert split(document("Same.").model_copy(update={"source": "b.md"}), count)[0].passage.id != one


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3000), st.text(max_size=300))
def test_any_text(count: Any, text: str, title: str) -> None:
    title = title.encode("utf-8", "ignore").decode()
    parts = check(document(text, title=title), count)
    covered = "".join(part.passage.text for part in parts)
    assert [c for c in covered if c.isalnum()] == [c for c in text if c.isalnum()]


HEBREW = "המנורה עומדת על השולחן ומאירה את החדר כולו. היא נעשתה ביד בבית מלאכה קטן ליד הים! האם היא יקרה? "
URDU = "چراغ میز پر ہے اور پورے کمرے کو روشن کرتا ہے۔ یہ ایک چھوٹی ورکشاپ میں بنایا گیا تھا۔ کیا یہ مہنگا ہے؟ "
CHINESE = "店员说：“这盏灯是手工制作的。”它放在桌子上，照亮了整个房间！它是在海边的一个小作坊里做的。"
HINDI = "दीपक मेज पर है और पूरे कमरे को रोशन करता है। इसे समुद्र के पास एक छोटी कार्यशाला में बनाया गया था। "


@pytest.mark.parametrize(
    ("text", "ends"),
    [(HEBREW, ".!?"), (URDU, "۔؟"), (ARABIC, "."), (CHINESE, "。！”"), (HINDI, "।"), (JAPANESE, "。")],
    ids=["he", "ur", "ar", "zh", "hi", "ja"],
)
def test_sentences_of_other_scripts_stay_whole(text: str, ends: str, count: Any) -> None:
    parts = check(document(text * 40), count)
    assert len(parts) > 3
    assert all(part.passage.text[-1] in ends for part in parts)
    assert all(part.passage.text[0] not in "”」)" for part in parts)


def test_a_letter_and_its_signs_are_never_parted(count: Any) -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3fd"
    for text in ("\u0e01\u0e34\u0e48" * 2000, "e\u0301" * 3000, "\u0915\u094d\u0937\u093f" * 1500, f"a{family}" * 500):
        parts = check(document(text), count)
        assert len(parts) > 1
        for part in parts:
            assert part.passage.text[0] in "\u0e01e\u0915\u0937a\U0001f468"
            assert not part.passage.text.endswith("\u200d")


def test_lines_languages_and_times_of_passages(count: Any) -> None:
    told = datetime(2026, 1, 2, tzinfo=UTC)
    sections = (
        Section(text=(ENGLISH * 4 + "\n") * 3, line=5),
        Section(text="Kind: Desk\nNote: " + ENGLISH * 5, line=9, relaid=True, language="de", modified=told),
    )
    given = Document(source="a", title="", sections=sections, sha256="0" * 64, language="en")
    parts = [part.passage for part in check(given, count)]
    first = [part for part in parts if part.language == "en"]
    assert [part.line for part in first] == [5 + sections[0].text[: part.start].count("\n") for part in first]
    assert {part.line for part in first} == {5, 6, 7}
    assert {(part.line, part.language, part.modified) for part in parts[len(first) :]} == {(9, "de", told)}
