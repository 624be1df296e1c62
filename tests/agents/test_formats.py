"""Documents of every format are cut into units and what stays; put together they are the document."""

from __future__ import annotations

import json
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import FormatBroken
from agents.formats import open_text


def translated(text: str, kind: str = "auto", target: str = "de", by=lambda text: f"«{text}»") -> str:
    _, bits = open_text(text, kind, target)
    return "".join(bit.restored(by(bit.asked)) if bit.unit else bit.text for bit in bits)


def units(text: str, kind: str = "auto", target: str = "de") -> list[tuple[str, str]]:
    return [(bit.asked, bit.place) for bit in open_text(text, kind, target)[1] if bit.unit]


STRINGS = """\ufeff{
  "checkout": { "title": "Pay now", "steps": ["Choose a card", "Confirm\\nor \\"cancel\\""] },
  "id": "order_42", "link": "https://example.org/a", "when": "2024-01-01T10:00:00Z", "colour": "#ffcc00",
  "path": "img/logo.png", "n": 3.50, "none": null, "empty": "", "Pay now": "Nested  word"
}
"""


def test_values_of_json_are_units_and_the_rest_stays() -> None:
    assert units(STRINGS) == [
        ("Pay now", "checkout.title"),
        ("Choose a card", "checkout.steps[0]"),
        ("Confirm", "checkout.steps[1]"),
        ('or "cancel"', "checkout.steps[1]"),
        ("Nested word", "Pay now"),
    ]
    changed = translated(STRINGS)
    assert json.loads(changed.removeprefix("\ufeff")) == json.loads(STRINGS.removeprefix("\ufeff")) | {
        "checkout": {"title": "«Pay now»", "steps": ["«Choose a card»", '«Confirm»\n«or "cancel"»']},
        "Pay now": "«Nested word»",
    }
    assert changed.replace("«", "").replace("»", "").replace("Nested word", "Nested  word") == STRINGS


def test_json_that_escapes_letters_goes_on_doing_so() -> None:
    assert translated(r'{"a": "Caf\u00e9 here"}', by=lambda _: "Hütte") == r'{"a": "H\u00fctte"}'
    assert translated('{"a": "Café here"}', by=lambda _: "Hütte") == '{"a": "Hütte"}'


def test_what_is_no_text_in_files_of_apps_stays() -> None:
    arb = '{"@@locale": "en", "hello": "Hello {name}", "@hello": {"description": "A greeting", "placeholders": {"name": {"example": "Some one"}}}}'  # noqa: E501
    assert units(arb) == [("Hello {name}", "hello")]
    assert json.loads(translated(arb))["@@locale"] == "de"
    extension = (
        '{"save": {"message": "Save it", "description": "A button", "placeholders": {"x": {"content": "$1 y"}}}}'
    )
    assert units(extension) == [("Save it", "save.message")]


def test_lone_surrogates_and_deep_paths_of_json() -> None:
    assert units(r'{"a": "\ud800 broken words", "b": "whole \ud83d\ude00 words"}') == [("whole 😀 words", "b")]
    deep = '{"key":' * 60 + '"some words"' + "}" * 60
    (asked, place), = units(deep)  # fmt: skip
    assert asked == "some words"
    assert len(place) < 130


SRT = textwrap.dedent("""\
    1
    00:00:01,000 --> 00:00:04,000
    {\\an8}The ship is sinking,
    and nobody knows it.

    2
    00:00:05,000 --> 00:00:06,500
    - Where is it?
    - Over <i>there</i>.

    3
    00:00:07,000 --> 00:00:08,000
    12:30
    4
    00:00:09,000 --> 00:00:10,000
    No blank line before this cue
""")


def test_words_of_cues_are_units() -> None:
    assert units(SRT) == [
        ("The ship is sinking, and nobody knows it.", "00:00:01,000"),
        ("Where is it?", "00:00:05,000"),
        ("Over <i>there</i>.", "00:00:05,000"),
        ("No blank line before this cue", "00:00:09,000"),
    ]
    changed = translated(SRT, by=lambda text: text.upper() if "ship" in text else text)
    assert "{\\an8}THE SHIP IS SINKING,\nAND NOBODY KNOWS IT.\n\n2\n" in changed
    assert changed.lower() == SRT.lower()


def test_a_cue_keeps_its_number_of_lines_and_begins_no_other() -> None:
    long = translated(SRT, by=lambda text: "Donaudampfschifffahrtsgesellschaft " * 5 if "ship" in text else text)
    assert [line.count(" --> ") for line in long.splitlines()] == [line.count(" --> ") for line in SRT.splitlines()]
    assert translated(SRT, by=lambda _: "a --> b").count("-->") == SRT.count("-->")
    assert "\r\n" in translated(SRT.replace("\n", "\r\n"), by=lambda _: "one two three")


VTT = """WEBVTT - some title

NOTE
This stays as it is.

STYLE
::cue { color: red }

intro
00:01.000 --> 00:04.000 align:start
<v Speaker>Good <b>morning</b> to all

00:05.000 --> 00:06.000
Tom &amp; Jerry
"""


def test_webvtt() -> None:
    assert units(VTT) == [("Good <b>morning</b> to all", "00:01.000"), ("Tom &amp; Jerry", "00:05.000")]
    assert translated(VTT).replace("«", "").replace("»", "") == VTT
    assert "<v Speaker>«Good" in translated(VTT)


PO = r"""# A comment.
msgid ""
msgstr ""
"Project-Id-Version: x\n"
"Language: \n"
"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\n"

#: app.py:3
#, fuzzy, python-format
#| msgid "Hi"
msgid "Hello %(name)s, \"you\"\n"
"on two lines"
msgstr "old"

#, fuzzy
msgctxt "menu"
msgid "Open"
msgstr ""

msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

msgid "Done"
msgstr "Fertig"

msgid "100 %"
msgstr ""

#~ msgid "gone"
#~ msgstr "weg"
"""


def test_po_entries_without_a_translation_are_units() -> None:
    assert [asked for asked, _ in units(PO)] == [
        'Hello %(name)s, "you"',
        "on two lines",
        "Open",
        "%d file",
        "%d files",
    ]
    changed = translated(PO)
    assert 'msgstr ""\n"«Hello %(name)s, \\"you\\"»\\n"\n"«on two lines»"\n' in changed
    assert "#, python-format\n" in changed
    assert "fuzzy" not in changed
    assert 'msgctxt "menu"\nmsgid "Open"\nmsgstr "«Open»"\n' in changed
    assert 'msgstr "Fertig"' in changed
    assert '#~ msgid "gone"\n#~ msgstr "weg"\n' in changed
    assert '"Language: de\\n"' in changed
    assert "nplurals=2; plural=(n != 1)" in changed


@pytest.mark.parametrize(("target", "forms"), [("ja", 1), ("de", 2), ("ru", 3), ("ar", 6), ("German", 2)])
def test_po_has_the_plural_forms_of_the_target(target: str, forms: int) -> None:
    changed = translated(PO, target=target)
    assert changed.count("msgstr[") == forms
    assert f"nplurals={forms}" in changed
    singular = changed.count('msgstr[0] "«%d file»"')
    assert singular == (forms > 1)


def test_po_is_read_by_gettext() -> None:
    polib = pytest.importorskip("polib")
    file = polib.pofile(translated(PO, target="ru"))
    assert file.metadata["Language"] == "ru"
    assert file.percent_translated() == 100
    assert file.find("100 %").msgstr == "100 %"
    assert file.find("%d file").msgstr_plural[2] == "«%d files»"


PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>My page</title>
<meta name="description" content="All about &quot;us&quot;"><meta name="viewport" content="width=device width">
<script>var text = "not this <p>one</p>";</script><style>p { color: red }</style></head>
<body>
<p>Hello <b>dear</b> reader &amp; friend: caf&eacute;
 on two lines.</p>
<p><a href="/x" title="go there">Read more</a></p>
<!-- a comment with <p>words</p> -->
<pre>keep these words</pre><svg><text>and these</text></svg>
<img src=a.png alt="A dog"><input type="submit" value="Send now"><input placeholder='Your name'>
<div translate="no">Brand <div>inner</div> words</div><p class="x notranslate">nor this</p>
<ul><li>One <code>x = words</code> thing<li>Two things</ul>
1 < 2 and 3 > 2
</body></html>
"""


def test_what_a_page_says_is_units() -> None:
    assert units(PAGE) == [
        ("My page", "line 2"),
        ('All about "us"', "line 3"),
        ("Hello <b>dear</b> reader &amp; friend: café on two lines.", "line 6"),
        ("Read more", "line 8"),
        ("A dog", "line 11"),
        ("Send now", "line 11"),
        ("Your name", "line 11"),
        ("One <code>x = words</code> thing", "line 13"),
        ("Two things", "line 13"),
        ("1 < 2 and 3 > 2", "line 14"),
    ]
    _, bits = open_text(PAGE, "auto", "")
    assert "".join(bit.text for bit in bits) == PAGE


def test_a_page_is_written_with_its_tags_and_no_others() -> None:
    changed = translated(PAGE, by=lambda text: text.replace("reader", 'reader <script>"x"</script>'))
    assert '<html lang="de">' in changed
    assert 'Hello <b>dear</b> reader &lt;script&gt;"x"&lt;/script&gt; &amp; friend: café on two lines.</p>' in changed
    assert changed.count("<script>") == 1
    quoted = translated(PAGE, by=lambda _: "\"a\" & 'b' <c>")
    assert "content=\"&quot;a&quot; &amp; 'b' &lt;c&gt;\"" in quoted
    assert "placeholder='\"a\" &amp; &#39;b&#39; &lt;c&gt;'" in quoted


def test_plain_text_has_no_marks() -> None:
    text = "# 1 of the\n* two\n\n    indented words\n"
    assert [asked for asked, _ in units(text, "plain")] == ["# 1 of the", "* two", "indented words"]
    assert [asked for asked, _ in units(text, "markdown")] != [asked for asked, _ in units(text, "plain")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (STRINGS, "json"), (SRT, "srt"), (VTT, "vtt"), (PO, "po"), (PAGE, "html"), ("<p>Some words</p>", "html"),
        ("# Words", "markdown"), ("Just words.", "markdown"), ("{name} is here}", "markdown"),
        ("[1] A note [2]", "markdown"), ("<p>Some words without an end", "markdown"), ("{not json}", "markdown"),
        ("<b>Bold</b> words", "markdown"), ("", "markdown"), ("<p>A</p>\n\n# Words\n\n<p>B</p>", "markdown"),
    ],
)  # fmt: skip
def test_auto_takes_a_text_as_it_looks(text: str, kind: str) -> None:
    assert open_text(text, "auto", "de")[0] == kind


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('{"a": "b",}', "json", "line 1, column 1"),
        ("[" * 100_000, "json", "nested too deep"),
        ('{"a": ' + "9" * 5000 + "}", "json", "too long"),
        ("words", "srt", "no cue"),
        ("1\n00:00:01,000 --> 00:00:02,000\nwords", "vtt", "WEBVTT"),
        ("words", "po", "Line 1"),
        ('msgid "a"\nmsgstr "open', "po", "Line 2"),
        ("# only comments", "po", "no msgid"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_its_place(text: str, kind: str, words: str) -> None:
    with pytest.raises(FormatBroken, match=words) as caught:
        open_text(text, kind, "de")
    assert caught.value.hint
    assert caught.value.code == "format_broken"


WORDS = st.text(st.sampled_from("abc é漢 \"\\'<>&\n\t{}/%שם😀"), max_size=30)
TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(TREE, st.booleans(), st.sampled_from([None, 2]))
def test_any_json_comes_back_the_same(tree: object, plain: bool, indent: int | None) -> None:
    text = json.dumps(tree, ensure_ascii=plain, indent=indent)
    kind, bits = open_text(text, "json", "")
    assert kind == "json"
    assert "".join(bit.text for bit in bits) == text
    changed = "".join(bit.restored(f'"{bit.asked}\\') if bit.unit else bit.text for bit in bits)
    json.loads(changed)


PIECES = [
    "<p>", "</p>", "<b>", "</b>", "<pre>", "<!--", "-->", "<a title='x y'>", '<img alt="', '"', "<", ">", "&amp;",
    "words ", "שלום ", "漢字", "\n", "<script>", "</script>", "<div translate=no>", "</div>", "1 < 2", "<!", "-->",
    "WEBVTT", "1", "00:01.000 --> 00:02.000", 'msgid "a"', 'msgstr ""',
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.sampled_from(["html", "auto", "plain", "markdown"])
)
def test_any_page_comes_back_the_same(text: str, kind: str) -> None:
    assert "".join(bit.text for bit in open_text(text, kind, "")[1]) == text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*PIECES, "2\n00:00:01,000 --> 00:00:02,000\n", "\r\n", "- a\n"]), max_size=40).map(
        "".join
    )
)
def test_any_subtitles_come_back_the_same(text: str) -> None:
    whole = "1\n00:00:01,000 --> 00:00:02,000\n" + text
    assert "".join(bit.text for bit in open_text(whole, "srt", "")[1]) == whole


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    [
        '<a "',
        "<",
        "<!--",
        "<p>",
        "<pre>",
        "<a '\"<a ",
        '<a x="y" ',
        '<p translate="no">',
        "&amp",
        '<img alt="',
        "<b>x ",
    ],
)
def test_hostile_pages_take_no_time(piece: str) -> None:
    text = "<p>" + piece * 200_000
    assert "".join(bit.text for bit in open_text(text, "html", "")[1]) == text
