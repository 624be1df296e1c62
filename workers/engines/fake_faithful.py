"""How the fake engine does what it is asked faithfully, and then spoils it on purpose. For tests of the checks only.

It knows phiq's own prompts by what they begin with. From passages it quotes the sentences that share most words with
the question, each with its marker; of texts it quotes sentences as a summary; a follow-up question gets the one before
it in brackets; a translation is pretended word by word (``fake_words``). What it can't tell is given back as it came.
Then it is spoilt:

    placeholder   the first placeholder, tag, address or code of each line is left out
    number        the first number of each line or sentence becomes another
    unsupported   a sentence is added that nothing bears out, with a marker where markers are used
    marker        each marker points to the next passage (the last one's to one that is not there)
    language      the words are of another language than asked for
    cut           it ends in the middle, as if that were the end
    limit         it ends in the middle and says that its limit was reached
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from tools.sentences import split_sentences
from workers.engines.fake_words import WORDS, kept_spans, pretend

CORRUPTIONS = ("placeholder", "number", "unsupported", "marker", "language", "cut", "limit")
UNSUPPORTED = "The minister of fisheries has praised this warmly in a letter to every citizen of Patagonia."

_FRAME = re.compile(r"<(?P<tag>[a-z]+\d*)>\n(?P<text>.*?)\n</(?P=tag)>", re.DOTALL)
_INTO = re.compile(r"\b(?:into|[Ww]rite in|[Aa]nswer in|[Rr]eply in) ([A-Z][a-z]+)")
_COUNT = re.compile(r"\b(\d+|one) sentences?\b")
_LINE_NUMBER = re.compile(r"\[\d+\][ \t]+")
_MARKER = re.compile(r"\[(\d+)\]")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]{3,}")
_CORRECTS = re.compile(r"\b(?:was|were) wrong\b")


def reply(
    messages: Sequence[BaseMessage], corrupt: str, *, mends: bool = False, say: Callable[[str, str], str] = pretend
) -> tuple[str, str]:
    """The answer and its finish reason.

    Args:
        messages: The prompt.
        corrupt: How to spoil it, with commas between; empty: not at all.
        mends: Leave it unspoilt where the prompt says that an earlier answer was wrong.
        say: Says a line in a language, by its English name; measurements put translations by people here.
    """
    system = "\n".join(message.text for message in messages if isinstance(message, SystemMessage))
    asked = [message.text for message in messages if isinstance(message, HumanMessage)]
    prompt = "\n".join(asked)
    wrongs = [] if mends and _CORRECTS.search(prompt) else [wrong for wrong in corrupt.split(",") if wrong]
    if "You translate" in system[:200]:
        text = _translation(system, prompt, wrongs, say)
    elif "You rewrite the last question" in system[:200]:
        text = _alone(prompt)
    elif "numbered passages" in system[:200]:
        text = _from_passages(prompt, asked[-1] if asked else "", wrongs)
    elif "faithful summar" in system[:200]:
        text = _summary(prompt, wrongs)
    else:
        text = _spoilt(asked[-1] if asked else "", wrongs, "")
    short = [wrong for wrong in wrongs if wrong in ("cut", "limit")]
    return (_half(text) if short else text), ("length" if "limit" in short else "stop")


def _translation(system: str, prompt: str, wrongs: Sequence[str], say: Callable[[str, str], str]) -> str:
    found = _INTO.search(system)
    target = found[1] if found else "English"
    frames = list(_FRAME.finditer(prompt))
    text = frames[-1]["text"] if frames else prompt
    language = _other(target) if "language" in wrongs else target
    lines = []
    for line in text.split("\n"):
        number = _LINE_NUMBER.match(line)
        start = number.end() if number else 0
        body = say(line[start:], language)
        lines.append(line[:start] + _spoilt(body, wrongs, language))
    return "\n".join(lines)


def _alone(prompt: str) -> str:
    frames = [match["text"] for match in _FRAME.finditer(prompt)]
    asked = [line.removeprefix("user: ") for line in frames[0].splitlines() if line.startswith("user: ")]
    question = frames[-1].rstrip("?")
    return f"{question} ({asked[-1].rstrip('?')})?" if asked else f"{question}?"


def _from_passages(prompt: str, question: str, wrongs: Sequence[str]) -> str:
    passages = [match["text"] for match in _FRAME.finditer(prompt)]
    asked = {word.lower() for word in _WORD.findall(_FRAME.sub("", question))}
    best: list[tuple[float, int, str]] = []
    for number, passage in enumerate(passages, 1):
        for span in split_sentences(passage):
            words = {word.lower() for word in _WORD.findall(span.text)}
            text = " ".join(_MARKER.sub("", span.text).split())
            # Where a number is to be changed there must be one.
            wanted = len(words & asked) + 100 * ("number" in wrongs and bool(_NUMBER.search(text)))
            best.append((-wanted + number / 100, number, text))
    said = []
    for _, number, text in sorted(best)[:2]:
        if "language" in wrongs:
            text = pretend(text, "German")
        said.append(f"{_number(text) if 'number' in wrongs else text} [{number + ('marker' in wrongs)}]")
    if "unsupported" in wrongs:
        said.append(f"{UNSUPPORTED} [1]")
    return " ".join(said) or "NO_ANSWER"


def _summary(prompt: str, wrongs: Sequence[str]) -> str:
    texts = [match["text"] for match in _FRAME.finditer(prompt)]
    task = _FRAME.sub("", prompt)
    found = _COUNT.search(task)
    count = 5 if found is None else 1 if found[1] == "one" else int(found[1])
    sentences = [[" ".join(span.text.split()) for span in split_sentences(text)] for text in texts]
    # The first of each text, then the second ones; those with a number first where one is to be changed.
    in_turn = [own[at] for at in range(max(map(len, sentences), default=0)) for own in sentences if at < len(own)]
    if "number" in wrongs:
        in_turn.sort(key=lambda text: not _NUMBER.search(text))
    picked = in_turn[:count]
    if found := _INTO.search(task):
        picked = [pretend(text, found[1], names=True) for text in picked]
    if "language" in wrongs:
        picked = [pretend(text, _other(found[1] if found else "English"), names=True) for text in picked]
    kept = [_spoilt(text, [wrong for wrong in wrongs if wrong != "unsupported"], "") for text in picked]
    if "unsupported" in wrongs:
        kept.append(UNSUPPORTED)
    mark = "- " if re.search(r"\bbullet|\blines? (?:that )?begin", task) else ""
    return ("\n" if mark else " ").join(mark + text for text in kept)


def _spoilt(text: str, wrongs: Sequence[str], language: str) -> str:
    ways: dict[str, Callable[[str], str]] = {
        "placeholder": _without_placeholder,
        "number": _number,
        "unsupported": lambda text: f"{text} {pretend(UNSUPPORTED, language) if language else UNSUPPORTED}",
    }
    for wrong in wrongs:
        if wrong in ways and text.strip():
            text = ways[wrong](text)
    return text


def _without_placeholder(text: str) -> str:
    for start, end in kept_spans(text, figures=False):
        before, after = text[:start], text[end:]
        return before + (after.lstrip(" ") if before.endswith(" ") else after)
    return text


def _number(text: str) -> str:
    """The text with another first number, unless it belongs to a placeholder or an address."""
    taken = kept_spans(text, figures=False)
    for match in _NUMBER.finditer(text):
        if not any(start <= match.start() < end for start, end in taken):
            other = str(int(match[0]) + 1) if not match[0].startswith("0") else match[0][:-1] + "7"
            return text[: match.start()] + other + text[match.end() :]
    return text


def _half(text: str) -> str:
    """About half of a text, never up to the end of a sentence."""
    words = re.findall(r"\s*\S+", text)
    kept = words[: max(1, len(words) // 2)]
    while len(kept) > 1 and kept[-1].endswith((".", "!", "?", "]")):
        kept.pop()
    return "".join(kept)


def _other(language: str) -> str:
    """A language that is not this one, and not one of its neighbours."""
    return next(name for name in ("German", "Italian", "Polish") if name != language and name in WORDS)
