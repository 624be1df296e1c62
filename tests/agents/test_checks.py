from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.checks.markers import SentenceStream, cited_markers, without_markers
from agents.checks.numbers import changed_numbers, foreign_numbers, numbers
from agents.checks.protect import check_segment, protected_items, without_items
from agents.checks.support import best_sentence, check_support
from agents.checks.words import content_words, negated_words, shared_words
from tools.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,234.5", ["1234.5"]),
        ("1.234,5", ["1234.5"]),
        ("1\u202f234,5", ["1234.5"]),
        ("1'234.50", ["1234.50"]),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", ["1234.5"]),
        ("1,234,567", ["1234567"]),
        ("3,141", ["3141"]),
        ("3,14", ["3.14"]),
        ("12.05.2024", ["12", "5", "2024"]),
        ("v1.2.3", ["1", "2", "3"]),
        ("14:30", ["14", "30"]),
        ("007", ["7"]),
        ("In 2024, 500 came.", ["2024", "500"]),
        ("no digits", []),
    ],
)
def test_numbers_have_one_spelling(text, found) -> None:
    assert sorted(numbers(text)) == sorted(found)


@given(
    st.integers(0, 10**9), st.integers(0, 99), st.sampled_from([(",", "."), (".", ","), ("\u00a0", ","), ("'", ".")])
)
def test_separators_change_no_number(whole, cents, separators) -> None:
    thousands, decimal = separators
    english = f"{whole:,}.{cents:02d}"
    other = f"{whole:,}".replace(",", thousands) + f"{decimal}{cents:02d}"
    assert changed_numbers(f"It is {english} in all.", f"Es sind {other} im Ganzen.") == ([], [])


@given(st.integers(13, 10**9), st.integers(13, 10**9))
def test_another_number_is_always_seen(one, other) -> None:
    missing, extra = changed_numbers(f"It is {one:,}.", f"Es ist {other}.")
    assert bool(missing) == bool(extra) == (one != other)


def test_numbers_may_stand_as_words_in_the_passage() -> None:
    assert foreign_numbers("Within 30 days, $5 and 12 500", "thirty days, 5.00 and 12,500") == []
    assert foreign_numbers("Within 31 days and four hours", "thirty days") == ["31", "4"]


@pytest.mark.parametrize(
    ("claim", "passage", "supported"),
    [
        ("返品は30日以内に可能です。", "未使用の商品の返品は、配達後30日以内に可能です。送料は返金されません。", True),
        ("返品は60日以内に可能です。", "未使用の商品の返品は、配達後30日以内に可能です。", False),
        ("Возврат возможен в течение 30 дней.", "Возврат товаров возможен в течение 30 дней после доставки.", True),
        ("يمكن إرجاع المنتجات خلال 30 يوما", "يمكن إرجاع جميع المنتجات خلال ٣٠ يوما من الاستلام", True),
        ("Die Rückgabe ist nicht möglich.", "Die Rückgabe ist innerhalb von 14 Tagen möglich.", False),
        ("Die Rückgabe ist möglich.", "Die Rückgabe ist nicht möglich.", False),
        ("It is not only cheap but fast.", "It is cheap and fast.", True),
        ("Returns are accepted.", "Returns are accepted, but opened software is not accepted.", True),
        ("Members cannot borrow atlases.", "Atlases are excluded from what members may borrow.", True),
        ("Anything at all.", "", False),
    ],
)
def test_support_in_any_script(claim, passage, supported) -> None:
    assert check_support(claim, [passage]).supported is supported


def test_without_a_passage_nothing_is_supported() -> None:
    assert not check_support("Returns are accepted.", []).supported


@given(st.text(max_size=200))
def test_a_verbatim_sentence_is_never_doubted(text) -> None:
    for span in split_sentences(text):
        verdict = check_support(span.text, [text])
        assert verdict.reason in ("", "empty")


@given(st.text(max_size=100), st.text(max_size=200))
def test_the_best_sentence_is_a_stretch_of_the_passage(claim, passage) -> None:
    span = best_sentence(claim, passage)
    assert passage[span.start : span.end] == span.text


def test_endings_do_not_matter_but_other_words_do() -> None:
    assert shared_words(content_words("refunds delivered policies"), content_words("refund delivery policy")) == {
        "refunds",
        "delivered",
        "policies",
    }
    assert not shared_words(content_words("contract refuse"), content_words("contact refund"))
    assert negated_words("We don't refund the cost of shipping.") == [frozenset({"refund", "cost", "shipping"})]


def test_markers() -> None:
    assert cited_markers("So it is [2][1], and [1, 3].") == (2, 1, 3)
    assert without_markers("So it is [2][1]. [3]") == "So it is."
    assert cited_markers("An array a[i] of [x] and [] stays.") == ()


ANSWER = "One thing [1]. Two things.[2] Three, e.g. this. [3]\n\n- First point [1]\n- Second [2].\n1. Count [1][2]. End"
SENTENCES = [
    ("One thing [1].", ""),
    ("Two things.[2]", " "),
    ("Three, e.g. this. [3]", " "),
    ("- First point [1]", "\n\n"),
    ("- Second [2].", "\n"),
    ("1. Count [1][2].", "\n"),
    ("End", " "),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_sentences_keep_their_markers_however_the_text_arrives(size) -> None:
    stream, found = SentenceStream(), []
    for start in range(0, len(ANSWER), size):
        found += stream.feed(ANSWER[start : start + size])
    assert [tuple(sentence) for sentence in found + stream.finish()] == SENTENCES


@given(st.text(alphabet="ab .[1]2\n-!,", max_size=80), st.integers(1, 5))
def test_no_word_of_the_answer_is_lost(text, size) -> None:
    stream, found = SentenceStream(), []
    for start in range(0, len(text), size):
        found += stream.feed(text[start : start + size])
    found += stream.finish()
    assert "".join("".join(part.text.split()) for part in found) == "".join(text.split())


def test_protected_items() -> None:
    text = (
        "Hi {name}, %s of %(n)d: ${v} <b>x</b> {{y}} :smile: https://a.b/c?d=1. me@x.org `c d` [l](docs/a.md) &nbsp; "
        "%1$s {count, plural, one {# item} other {# items}} 10:30:45 ratio: a:b, 50% sure, 100 % done"
    )
    assert [item.text for item in protected_items(text)] == [
        *("{name}", "%s", "%(n)d", "${v}", "<b>", "</b>", "{{y}}", ":smile:", "https://a.b/c?d=1", "me@x.org"),
        *("`c d`", "docs/a.md", "&nbsp;", "%1$s", "{count, plural"),
    ]
    assert "me@x.org" not in without_items(text)


@given(st.text(max_size=200))
def test_a_text_is_a_faithful_translation_of_itself(text) -> None:
    problems = check_segment(text, text)
    assert problems == [] or (not text.strip() and problems[0].kind == "empty")
