# ruff: noqa: RUF001 -- letters of other scripts are meant
"""Pretended translation, for tests only: each word becomes a common word of the other language, about as long.

It means nothing, but it looks like that language to whoever detects languages, has as many words and sentences as the
source, and keeps what a translation must keep: numbers, placeholders, tags, code and addresses.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

WORDS = {
    language: tuple(words.split())
    for language, words in {
        "English": "a in of the and was that with from have there which would should through because "
        "something everybody government understand",
        "German": "zu im die der und ist nicht auch nach über wenn durch zwischen während wieder zusammen "
        "verschiedene Gesellschaft Möglichkeiten selbstverständlich",
        "French": "à de le les des une que pour avec dans sont cette comme aussi toujours pendant beaucoup "
        "aujourd’hui gouvernement développement",
        "Spanish": "y de el los que una para con como pero esta también cuando desde porque entonces siempre "
        "nosotros trabajadores conocimiento",
        "Italian": "e di il gli che una per con come anche della questo sempre quando perché ancora essere "
        "abbiamo lavoratori conoscenza",
        "Portuguese": "e de os que uma para com como mas não também quando muito porque então sempre depois "
        "trabalhadores conhecimento informações",
        "Dutch": "en de het een van niet voor met ook maar door wordt tussen wanneer altijd waarom samen "
        "verschillende mogelijkheden gemeenschap",
        "Croatian": "i u se je da na što koji kako ali već također između prije poslije uvijek zbog sljedeći "
        "mogućnosti obavijesti",
        "Polish": "i w na się nie że jest który także przez między kiedy zawsze dlaczego ponieważ również "
        "wszystkich możliwości społeczeństwo",
        "Swedish": "i på att och det som inte för med också efter mellan alltid därför mycket någonting "
        "tillsammans möjligheter samhället",
        "Danish": "i på at og det som ikke for med også efter mellem altid derfor meget noget sammen "
        "muligheder samfundet virksomheder",
        "Czech": "a v se na je že který také přes mezi když vždycky protože ještě společně možnosti "
        "společnost následující",
        "Russian": "и в на не что это как для также после между когда всегда потому вместе который "
        "возможности общество следующий",
        "Greek": "η το να και για από που είναι στην αυτό όταν πάντα επειδή μεταξύ μαζί επίσης δυνατότητες κοινωνία",
        "Arabic": "في من على أن إلى هذا التي كان بين عند مع ذلك دائما لأن المجتمع المعلومات",
        "Hebrew": "של את על לא זה עם גם כי היה בין כאשר תמיד אפשרויות החברה",
    }.items()
}
_GLYPHS = {
    "Chinese": "的一是在不了有和人这中大为上个国我以要他",
    "Japanese": "のはにをがでともからしてますこれあるいう日本",
    "Korean": "이그는을에서의가하고있다했습니로한지도",
}
_KEPT = re.compile(
    r"`[^`\n]*`|<[^<>\n]+>|\]\([^()\s]*\)|(?:https?://|www\.)\S+|\S+@\S+|%\(?\w+\)?\w*|(?<!\w):\w+:|&\#?\w+;|\$[A-Z_]+"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LINK_TEXT = re.compile(r"\S*\d\S*")


def pretend(text: str, language: str, *, names: bool = False) -> str:
    """The text in other words.

    Args:
        text: Any text of one or more lines.
        language: English name of the language; one that has no words here has its letters turned round.
        names: Keep words with a capital that begin no sentence.
    """
    out, last = [], 0
    for start, end in kept_spans(text):
        out += [_translated(text, last, start, language, names), text[start:end]]
        last = end
    return "".join([*out, _translated(text, last, len(text), language, names)])


def kept_spans(text: str, *, figures: bool = True) -> list[tuple[int, int]]:
    """Where stands what a translation keeps; numbers, and what they are part of, only with ``figures``."""
    taken = _braced(text) + [match.span() for match in _KEPT.finditer(text)]
    if figures:
        taken += [match.span() for match in _LINK_TEXT.finditer(text)]
    spans: list[tuple[int, int]] = []
    for start, end in sorted(taken):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _braced(text: str) -> list[tuple[int, int]]:
    """Stretches in braces, the outermost ones; a form of ICU's has others inside."""
    spans, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char == "{":
            start = start if depth else at
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if not depth:
                spans.append((start - (start > 0 and text[start - 1] in "$#"), at + 1))
    return spans


def _translated(text: str, start: int, end: int, language: str, names: bool) -> str:
    def other(match: re.Match[str]) -> str:
        word = match[0]
        before = text[: start + match.start()].rstrip(" \"'“„«(*_")
        opens = not before or before[-1] in ".!?:\n[]>-#|"
        if names and word[0].isupper() and not opens:
            return word
        made = rule(word)
        return made[0].upper() + made[1:] if word[0].isupper() else made

    rule = _rule(language)
    return _WORD.sub(other, text[start:end])


def _rule(language: str) -> Callable[[str], str]:
    if glyphs := _GLYPHS.get(language):
        return lambda word: "".join(glyphs[(zlib.crc32(word.encode()) + at) % len(glyphs)] for at in range(_wide(word)))
    if words := WORDS.get(language):
        return lambda word: min(words, key=lambda one: (abs(len(one) - len(word)), zlib.crc32((one + word).encode())))
    return lambda word: word[::-1].lower()


def _wide(word: str) -> int:
    return max(1, round(len(word) / 2.5))
