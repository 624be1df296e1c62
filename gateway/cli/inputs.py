"""What the arguments of a command stand for: files, standard input or the words themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from gateway.errors import InputMissing
from knowledge.errors import DocumentEmpty, PhiqError

_A = TypeVar("_A")
_T = TypeVar("_T")
STDIN = "-"
STANDARD_INPUT = "standard input"
_NOT_AS_IT_STANDS = {".html", ".htm", ".xhtml", ".pdf", ".docx", ".pptx", ".xlsx", ".eml", ".mbox"}
_PAGES = {".html", ".htm", ".xhtml"}
_LOOKS_LIKE_A_FILE = _PAGES | {
    ".txt", ".md", ".markdown", ".pdf", ".docx", ".csv", ".json", ".log", ".srt", ".vtt", ".po", ".pot", ".arb"
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """A text to work on and the name people know it by."""

    name: str
    text: str


@dataclass(frozen=True)
class Unreadable:
    """An input that can't be read, and why."""

    name: str
    error: PhiqError


def each(arguments: Sequence[_A], read: Callable[[_A], _T], bad: list[Unreadable] | None) -> list[_T]:
    """Read several inputs; with ``bad`` one that can't be read goes there and harms no other.

    Raises:
        PhiqError: what is wrong with the only input, or with any where ``bad`` is None.
    """
    if bad is None or len(arguments) < 2:
        return [read(argument) for argument in arguments]
    good: list[_T] = []
    for argument in arguments:
        try:
            good.append(read(argument))
        except PhiqError as error:
            bad.append(Unreadable(str(argument), error))
    return good


WordsAre = Literal["never", "unless a file", "always"]


def texts(
    arguments: Sequence[str],
    max_bytes: int,
    *,
    words: WordsAre = "never",
    bad: list[Unreadable] | None = None,
    markup: bool = False,
) -> list[Words]:
    """Read each argument.

    Args:
        arguments: ``-`` is standard input; none at all is too, when something is piped in.
        max_bytes: Longest text.
        words: When an argument is the text itself rather than a file's path.
        bad: As for `each`.
        markup: Whether web pages are wanted with their markup.

    Raises:
        InputMissing: when there is nothing to read.
        PhiqError: what is wrong with a file.
    """
    if not arguments:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputMissing("Nothing to work on.", hint="Give a text or a file, or - to read standard input.")
        arguments = [STDIN]
    if words == "always" and list(arguments) != [STDIN]:
        arguments = [" ".join(arguments)]
    elif words == "unless a file" and not any(argument == STDIN or _means_a_file(argument) for argument in arguments):
        arguments = [" ".join(arguments)]  # words that nobody put in quotes
    return each(arguments, lambda argument: _words(argument, max_bytes, words, markup=markup), bad)


def _words(argument: str, max_bytes: int, words: WordsAre, *, markup: bool) -> Words:
    if argument == STDIN:
        return Words(STANDARD_INPUT, read_stdin(max_bytes))
    if words == "always" or (words == "unless a file" and not _means_a_file(argument)):
        if not argument.strip():
            raise InputMissing("The text is empty.", hint="Give a text or a file, or - to read standard input.")
        return Words(argument if len(argument) <= 40 else argument[:39] + "…", argument)
    return Words(argument, read_text(Path(argument), max_bytes, markup=markup))


def _means_a_file(argument: str) -> bool:
    """Whether it is one, or looks so much like one that its absence should be told."""
    path = Path(argument)
    looks = path.suffix.lower() in _LOOKS_LIKE_A_FILE and not any(char.isspace() for char in argument)
    return looks or _is_file(path)


def _is_file(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a long text is no file's name
        return False


def read_stdin(max_bytes: int) -> str:
    """Standard input as text.

    Raises:
        PhiqError: when it is empty, too long or no text.
    """
    from knowledge.load.encoding import decode
    from knowledge.load.read import check_size

    data = sys.stdin.buffer.read(max_bytes + 1)
    check_size(len(data), STANDARD_INPUT, max_bytes)
    return _not_blank(decode(data, STANDARD_INPUT), STANDARD_INPUT)


def read_text(path: Path, max_bytes: int, *, markup: bool = False) -> str:
    """A file's text: of formats that are text the characters as they stand, of others what the loader finds.

    Of web pages the loader finds what they say, unless their ``markup`` is wanted.

    Raises:
        PhiqError: when it is missing, empty, too large, protected or of no known kind.
    """
    from knowledge.load import Helpers, LoadLimits, load, plain_text, read_file
    from knowledge.load.encoding import decode, looks_like_text
    from workers.reading import read_page

    limits = LoadLimits(max_bytes=max_bytes)
    data = read_file(path, limits)
    # A web page is text too, but few mean its markup.
    if looks_like_text(data) and path.suffix.lower() not in _NOT_AS_IT_STANDS - (_PAGES if markup else set()):
        return _not_blank(decode(data, path.name), str(path))
    return plain_text(load(data, path.name, str(path), limits, Helpers(read_page=read_page)))


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """A file's bytes.

    Raises:
        PhiqError: when it is missing, a folder, empty, too large, or may not be read.
    """
    from knowledge.load import LoadLimits, read_file

    data = read_file(path, LoadLimits(max_bytes=max_bytes))
    if not data:
        raise DocumentEmpty(f"{path} is empty.", hint="Check the file.", subject=str(path))
    return data


def _not_blank(text: str, name: str) -> str:
    if not text.strip():
        raise DocumentEmpty(f"{name} holds no text.", hint="Check what you gave.", subject=name)
    return text
