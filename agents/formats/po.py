"""Gettext's PO files: what has no translation yet, or an uncertain one, is translated; all else stays.

The header names the language translated into and its plural forms afterwards; an uncertain entry loses its mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agents.checks.protect import has_words
from agents.errors import FormatBroken
from agents.segments import Bit

_FIELD = re.compile(r'(?P<name>msgctxt|msgid_plural|msgid|msgstr(?:\[(?P<form>\d{1,2})\])?)[ \t]*"')
_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"\s*$')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_PLURALS = re.compile(r"^Plural-Forms:[^\n]*nplurals\s*=\s*(\d)", re.MULTILINE)


@dataclass
class _Entry:
    """The lines of an entry by field; ``first`` is the number of its first line, from 1."""

    first: int
    before: list[str] = field(default_factory=list)
    raw: dict[str, list[str]] = field(default_factory=dict)

    def words(self, name: str) -> str:
        """A field's text without quotes and escapes."""
        return _unquoted(self.raw.get(name, ()))

    @property
    def strings(self) -> list[str]:
        return [name for name in self.raw if name.startswith("msgstr")]

    @property
    def is_header(self) -> bool:
        return "msgid" in self.raw and not self.words("msgid") and "msgctxt" not in self.raw

    @property
    def fuzzy(self) -> bool:
        return any(line.startswith("#,") and "fuzzy" in line for line in self.before)

    @property
    def done(self) -> bool:
        return not self.fuzzy and all(self.words(name) for name in self.strings)


def po_bits(text: str, target: str) -> Iterator[Bit]:
    """The bits of a PO file.

    Args:
        text: The file.
        target: Code of the language translated into; empty leaves the header as it is.

    Raises:
        FormatBroken: at a line that is none of a PO file's, or without any entry.
    """
    entries = list(_entries(text))
    if text.strip() and not any("msgid" in entry.raw for entry in entries):
        raise FormatBroken(
            "The text is no PO file: it has no msgid.", hint="Translate it as plain text: --format plain"
        )
    header = next((entry for entry in entries if entry.is_header), None)
    found = _PLURALS.search(header.words("msgstr")) if header is not None else None
    # A file for another language, or a template, says nothing of the target's forms.
    forms = _forms(target) or (int(found[1]) if found else 2)
    for entry in entries:
        if entry.is_header:
            yield Bit("".join(entry.before))
            for name, lines in entry.raw.items():
                yield Bit("".join(_headed(lines, target) if name == "msgstr" else lines))
        elif not entry.strings or entry.done:
            yield Bit("".join([*entry.before, *(line for lines in entry.raw.values() for line in lines)]))
        else:
            yield from _translated(entry, forms)


def _entries(text: str) -> Iterator[_Entry]:
    entry, name = _Entry(1), ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        bare = line.removeprefix("\ufeff").strip() if number == 1 else line.strip()
        match = _FIELD.match(bare)
        if not bare or bare.startswith("#"):
            if entry.raw:
                yield entry
                entry, name = _Entry(number), ""
            entry.before.append(line)
            continue
        if match:
            if match["name"] in entry.raw or (match["name"] in ("msgctxt", "msgid") and entry.strings):
                yield entry
                entry = _Entry(number)
            name = match["name"]
        quoted = _STRING.search(bare[match.end() - 1 :] if match else bare)
        if not name or quoted is None or (quoted.start() > 0):
            raise FormatBroken(
                f"Line {number} is none of a PO file: {bare[:60]!r}.",
                hint="Check the file with: msgfmt --check FILE",
                line=number,
            )
        entry.raw.setdefault(name, []).append(line)
    yield entry


def _unquoted(lines: Sequence[str]) -> str:
    found = (_STRING.search(line.strip()[max(line.strip().find('"'), 0) :]) for line in lines)
    return "".join(_unescaped(match[1]) for match in found if match)


def _unescaped(raw: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), raw)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")


def _headed(lines: Sequence[str], target: str) -> Iterator[str]:
    for line in lines:
        if target and '"Language:' in line:
            line = re.sub(r'"Language:.*?(\\n)?"', lambda match: f'"Language: {target}{match[1] or ""}"', line)
        elif target and '"Plural-Forms:' in line and (rule := _rule(target)):
            line = re.sub(r'"Plural-Forms:.*?(\\n)?"', lambda match: f'"Plural-Forms: {rule}{match[1] or ""}"', line)
        yield line


def _translated(entry: _Entry, forms: int) -> Iterator[Bit]:
    end = "\r\n" if entry.raw["msgid"][0].endswith("\r\n") else "\n"
    for line in entry.before:
        yield Bit(_certain(line) if line.startswith("#,") else line)
    for name, lines in entry.raw.items():
        if not name.startswith("msgstr"):
            yield Bit("".join(lines))
    singular, place = entry.words("msgid"), f"line {entry.first + len(entry.before)}"
    if "msgid_plural" not in entry.raw:
        yield from _string("msgstr", singular, place, end)
        return
    plural = entry.words("msgid_plural")
    for form in range(forms):
        yield from _string(f"msgstr[{form}]", singular if form == 0 and forms > 1 else plural, place, end)


def _certain(line: str) -> str:
    """A line of flags without "fuzzy"; nothing when that was all."""
    flags = [flag.strip() for flag in line[2:].split(",") if flag.strip() not in ("", "fuzzy")]
    return f"#, {', '.join(flags)}{line[len(line.rstrip()) :]}" if flags else ""


def _string(name: str, source: str, place: str, end: str) -> Iterator[Bit]:
    """A field with a unit for each line of its source."""
    lines = source.splitlines(keepends=True) or [""]
    if len(lines) > 1:
        yield Bit(f'{name} ""{end}')
    for line in lines:
        core = line.strip()
        before, after = line[: line.index(core)], line[line.index(core) + len(core) :]
        start = f"{name} " if len(lines) == 1 else ""
        yield Bit(f'{start}"{_escaped(before)}')
        if has_words(core):
            yield Bit("", unit=True, asked=" ".join(core.split()), place=place, write=_escaped)
        else:
            yield Bit(_escaped(core))
        tail = _escaped(after).replace("\r", "\\r").replace("\n", "\\n")
        # The last line of a file may lack its end; entries after it would not, so it is always given.
        yield Bit(f'{tail}"{end}')


def _forms(target: str) -> int:
    found = re.match(r"nplurals=(\d)", _rule(target))
    return int(found[1]) if found else 0


def _rule(target: str) -> str:
    """Gettext's rule for the plural of a language; empty where it is not known."""
    from babel.core import UnknownLocaleError
    from babel.messages.plurals import get_plural

    try:
        return get_plural(target.replace("-", "_")).plural_forms if target else ""
    except (UnknownLocaleError, ValueError):
        return ""
