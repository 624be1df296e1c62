"""Mails: one (eml) or a mailbox (mbox), with their attachments."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from functools import lru_cache
from typing import Any, NamedTuple

from knowledge.errors import DocumentTooLarge, DocumentUnreadable, UserError
from knowledge.load.content import Content, Helpers
from knowledge.load.encoding import decode
from knowledge.load.fragment import text_of_html
from knowledge.load.limits import LoadLimits
from knowledge.load.moments import moment
from knowledge.load.quotes import Quotes
from knowledge.load.read import check_size
from knowledge.load.sections import SEPARATOR, plain
from knowledge.types import Section

_FROM = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\r\n]{1,200}\r?\n")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_REPLY = re.compile(
    r"\A(?:\s*(?:re|aw|antw|sv|vs|odp|fw|fwd|wg|tr|rv|回复|转发|返信)(?:\[\d+\])?\s*[:：])+\s*",  # noqa: RUF001 - the colon of Chinese
    re.IGNORECASE,
)
_REGISTRY = HeaderRegistry()
_LONGEST_HEADER = 2000  # characters; 300,000 hostile ones took the standard library's parser 8 GB


@lru_cache(4096)
def _parsed(name: str, value: str) -> Any:
    """A header; kept, because parsing takes half a millisecond at each look, and most are often the same."""
    try:
        return _REGISTRY(name, value[:_LONGEST_HEADER])
    except Exception:  # noqa: BLE001 - a mail is worth more than one of its headers
        return _REGISTRY(name, "")


_POLICY = EmailPolicy(header_factory=_parsed)
_HEADERS = ("from", "to", "subject", "date", "received", "message-id")
_DEEPEST = 3
_MAX_ATTACHMENTS = 1_000
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)


class _Mail(NamedTuple):
    message: EmailMessage
    line: int | None
    sent: datetime | None
    subject: str


def load_eml(data: bytes, name: str, limits: LoadLimits, helpers: Helpers) -> Content:
    """The mail's words and its attachments'; the title is the subject.

    Raises:
        DocumentUnreadable: when it is no mail, or encrypted.
        DocumentTooLarge: when its text is above the limit.
    """
    mail = _read(data, None)
    if not any(header in mail.message for header in _HEADERS):
        raise DocumentUnreadable(
            f"{name} is no mail: it has no headers.",
            hint='Save the mail with its headers ("original", .eml), or its text as .txt.',
            subject=name,
        )
    sections = tuple(_sections(mail, Quotes(), limits, helpers))
    if not sections and _encrypted(mail.message):
        raise _protected(name)
    return Content(mail.subject, sections, _language(mail.message), mail.sent)


def load_mbox(data: bytes, name: str, limits: LoadLimits, helpers: Helpers) -> Content:
    """The mails of a mailbox, thread after thread, each thread from the oldest to the newest.

    A reply's quotations of mails of its thread are left out. Encrypted mails are passed over.

    Raises:
        DocumentUnreadable: when it is no mailbox, or all of it is encrypted.
        DocumentTooLarge: when it has more mails or text than allowed.
    """
    if not _FROM.match(data):
        raise DocumentUnreadable(
            f"{name} is no mailbox: it does not begin with a line of 'From '.",
            hint="Export the folder as mbox; a single mail belongs into a file that ends in .eml.",
            subject=name,
        )
    mails = list(_split(data, name, limits))
    sections: list[Section] = []
    size = 0
    for thread in _threads(mails):
        quotes = Quotes()
        for mail in thread:
            for section in _sections(mail, quotes, limits, helpers):
                sections.append(section)
                size += len(section.text)
            check_size(size, name, limits.max_characters, "its text")
    if not sections and any(_encrypted(mail.message) for mail in mails):
        raise _protected(name)
    newest = max((mail.sent for mail in mails if mail.sent), default=None)
    return Content("", tuple(sections), "", newest)


def _split(data: bytes, name: str, limits: LoadLimits) -> Iterator[_Mail]:
    starts = [(found.start(), found.end()) for found in _FROM.finditer(data)]
    if len(starts) > limits.max_rows:
        raise DocumentTooLarge(
            f"{name} has {len(starts):,} mails, the limit is {limits.max_rows:,}.",
            hint="Split it into several files.",
            subject=name,
            rows=len(starts),
            limit=limits.max_rows,
        )
    line, counted = 1, 0
    for number, (begin, body) in enumerate(starts):
        line, counted = line + data.count(b"\n", counted, begin), begin
        end = starts[number + 1][0] if number + 1 < len(starts) else len(data)
        yield _read(_ESCAPED.sub(rb"\1", data[body:end]), line)


def _read(data: bytes, line: int | None) -> _Mail:
    message = BytesParser(policy=_POLICY).parsebytes(data)
    return _Mail(message, line, moment(_header(message, "date")), plain(_header(message, "subject")))


def _header(message: EmailMessage, name: str) -> str:
    """A header's words; hostile ones make the standard library raise anything."""
    try:
        return str(message.get(name, "") or "")
    except Exception:  # noqa: BLE001 - a mail is worth more than one of its headers
        return ""


def _raw(message: EmailMessage, *names: str) -> list[str]:
    """The words of headers that need no decoding, as they came: parsing each of them takes a millisecond."""
    found = {name.lower(): str(value) for name, value in message.raw_items()}
    return [word for name in names for word in found.get(name, "").split()][:200]


def _threads(mails: list[_Mail]) -> Iterator[list[_Mail]]:
    """Mails that answer each other, by their references, else by their subject; each thread in the order of time."""
    of: dict[str, str] = {}
    threads: defaultdict[str, list[_Mail]] = defaultdict(list)
    for mail in sorted(mails, key=lambda mail: mail.sent or _OLDEST):
        own = "".join(_raw(mail.message, "message-id"))
        before = _raw(mail.message, "references", "in-reply-to")
        bare = _REPLY.sub("", mail.subject).lower()
        answers = bare != mail.subject.lower() and f"subject:{bare}" in of
        root = next((of[known] for known in before if known in of), "")
        root = root or (of[f"subject:{bare}"] if answers else "") or (before[0] if before else own) or f"#{id(mail)}"
        for known in (own, *before):
            of.setdefault(known, root)
        if bare:
            of[f"subject:{bare}"] = root
        threads[root].append(mail)
    yield from threads.values()


def _sections(mail: _Mail, quotes: Quotes, limits: LoadLimits, helpers: Helpers) -> Iterator[Section]:
    sender = plain(re.sub(r"\s*<[^<>]*>|\"", "", _header(mail.message, "from"))) or plain(_header(mail.message, "from"))
    when = f", {mail.sent:%Y-%m-%d}" if mail.sent else ""
    subject = _REPLY.sub("", mail.subject) or "without a subject"
    heading = f"{subject}{SEPARATOR}{sender}{when}" if sender else f"{subject}{when}"
    told: list[str] = []
    inner: list[Section] = []
    for number, part in enumerate(mail.message.iter_attachments() if mail.message.is_multipart() else ()):
        if number >= _MAX_ATTACHMENTS:
            told.append("more")
            break
        name, found, why = _attachment(part, limits, helpers)
        told.append(f"{name} (not read: {why})" if why else name)
        for section in found:
            place = SEPARATOR.join(step for step in (subject, name, section.heading) if step)
            inner.append(
                section.model_copy(
                    update={
                        "heading": place,
                        "line": mail.line,
                        "relaid": True,
                        "modified": section.modified or mail.sent,
                    }
                )
            )
    body = _body(mail.message)
    # A mail may say all it says in its subject.
    text = quotes.without(body) if body or _encrypted(mail.message) else mail.subject
    if told:
        text = f"{text}\n\nAttachments: {', '.join(told)}".strip()
    if text.strip():
        yield Section(text=text, heading=heading, line=mail.line, relaid=True, modified=mail.sent)
    yield from inner


def _body(message: EmailMessage) -> str:
    """The words of the mail itself: its plain text, else its page."""
    part = message.get_body(("plain", "html"))
    if not isinstance(part, EmailMessage):
        return ""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        other = message.get_body(("html",))
        payload = other.get_payload(decode=True) if isinstance(other, EmailMessage) and other is not part else b""
        part = other if isinstance(other, EmailMessage) else part
    if not isinstance(payload, bytes) or not payload.strip():
        return ""
    text = _decoded(payload, part.get_content_charset() or "")
    return text_of_html(text) if part.get_content_type() == "text/html" else text.strip()


def _decoded(payload: bytes, charset: str) -> str:
    try:
        return decode(payload, "the mail", charset)
    except DocumentUnreadable:
        # One mail with a few bad bytes is no reason to refuse a mailbox.
        return payload.decode("utf-8", "replace").replace("\x00", "").replace("\r\n", "\n")


def _attachment(part: EmailMessage, limits: LoadLimits, helpers: Helpers) -> tuple[str, tuple[Section, ...], str]:
    """An attachment's name, what its own loader finds, and why it found nothing."""
    from knowledge.load.load import load

    forwarded = part.get_content_type() == "message/rfc822"
    try:
        name = plain(part.get_filename() or "")
    except Exception:  # noqa: BLE001 - as for headers
        name = ""
    name = name or ("forwarded.eml" if forwarded else "attachment")
    if helpers.depth >= _DEEPEST:
        return name, (), "it lies too deep in others"
    if forwarded:
        inside = part.get_payload(0) if part.is_multipart() else None
        data = inside.as_bytes() if isinstance(inside, EmailMessage) else b""
        name = name if name.lower().endswith(".eml") else f"{name}.eml"
    else:
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
    try:
        document = load(data, name, name, limits, replace(helpers, depth=helpers.depth + 1))
    except UserError as error:
        # One bad attachment takes nothing from the mail; its reason can be read where the mail is.
        return name, (), error.message.removeprefix(name).strip(" .")
    return name, document.sections, ""


def _encrypted(message: EmailMessage) -> bool:
    kind = message.get_content_type()
    return kind == "multipart/encrypted" or (
        kind == "application/pkcs7-mime" and "signed" not in str(message.get("content-type"))
    )


def _protected(name: str) -> DocumentUnreadable:
    return DocumentUnreadable(
        f"{name} is encrypted.",
        hint="Decrypt it in the mail program, then save it again.",
        subject=name,
        reason="protected",
    )


def _language(message: EmailMessage) -> str:
    return _header(message, "content-language").split(",")[0].strip()[:35]
