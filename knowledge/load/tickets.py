"""Tickets of help desks (exports of Zendesk, Freshdesk and the like): a section a message, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from knowledge.load.fragment import text_of_html
from knowledge.load.moments import moment
from knowledge.load.quotes import Quotes
from knowledge.load.sections import SEPARATOR, plain
from knowledge.types import Section

_WRAPPERS = ("ticket", "helpdesk_ticket")
_THREADS = ("comments", "conversations", "notes", "messages", "audits")
_DESCRIPTIONS = ("description_text", "description", "description_html", "body")
_BODIES = ("plain_body", "body_text", "body", "html_body", "text", "content")
# Freshdesk exports numbers; both vendors document them.
_STATUS = {"2": "open", "3": "pending", "4": "resolved", "5": "closed"}
_PRIORITY = {"1": "low", "2": "medium", "3": "high", "4": "urgent"}


class _Message(NamedTuple):
    text: str
    who: str
    when: datetime | None


def is_ticket(value: Any) -> bool:
    """Whether a record is a ticket: a subject, and a description or messages."""
    ticket = _unwrapped(value)
    if ticket is None:
        return False
    said = any(isinstance(ticket.get(name), str) for name in _DESCRIPTIONS)
    talk = any(isinstance(ticket.get(name), list) for name in _THREADS)
    return isinstance(ticket.get("subject"), str) and "id" in ticket and (said or talk)


def sections_of(value: Any, line: int) -> Iterator[Section]:
    """The messages of a ticket. The first carries its state and tags; quoted replies are left out.

    Notes that only agents see are marked in their heading (``internal note``).
    """
    ticket = _unwrapped(value) or {}
    subject = plain(str(ticket.get("subject") or "")) or "without a subject"
    top = f"Ticket {_short(ticket.get('display_id') or ticket.get('id'))}: {subject}"
    changed = moment(ticket.get("updated_at")) or moment(ticket.get("created_at"))
    quotes = Quotes()
    messages = list(_messages(ticket))
    facts = _facts(ticket)
    if not messages:
        messages = [_Message("", "", changed)]
    for number, message in enumerate(messages):
        text = quotes.without(message.text) if number else quotes.seen(message.text)
        if not number:
            text = f"{subject}\n{facts}\n\n{text}".strip() if facts else f"{subject}\n\n{text}".strip()
        if text.strip():
            heading = f"{top}{SEPARATOR}{message.who}" if message.who else top
            yield Section(text=text, heading=heading, line=line, relaid=True, modified=message.when or changed)


def _unwrapped(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    for name in _WRAPPERS:
        if isinstance(value.get(name), dict):
            beside = {key: inner for key, inner in value.items() if key in _THREADS}
            return {**value[name], **beside}
    return value


def _messages(ticket: dict[str, Any]) -> Iterator[_Message]:
    description = _body(ticket, _DESCRIPTIONS)
    found = [message for name in _THREADS for message in _thread(ticket.get(name), ticket)]
    # Zendesk's description is its first comment once more.
    if description and _bare(description) not in {_bare(message.text) for message in found}:
        who = _person(ticket, "requester") or "requester"
        yield _Message(description, who, moment(ticket.get("created_at")))
    # What has no time stays where it is.
    yield from sorted(found, key=lambda message: message.when.timestamp() if message.when else 0.0)


def _thread(entries: Any, ticket: dict[str, Any]) -> Iterator[_Message]:
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        inner = entry.get("helpdesk_note") or entry.get("note") or entry
        inner = inner if isinstance(inner, dict) else entry
        if text := _body(inner, _BODIES):
            yield _Message(text, _role(inner, ticket), moment(inner.get("created_at")))


def _body(entry: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = entry.get(name)
        if isinstance(value, str) and value.strip():
            return text_of_html(value)
    return ""


def _role(entry: dict[str, Any], ticket: dict[str, Any]) -> str:
    """Who wrote a message: a name where the export has it, else which side."""
    private = entry.get("private") is True or entry.get("public") is False
    author, requester = entry.get("author_id") or entry.get("user_id"), ticket.get("requester_id")
    asked = entry.get("incoming") is True or (author is not None and author == requester)
    side = "requester" if asked else "agent"
    name = _person(entry, "author") or _person(entry, "user")
    who = f"{name} ({side})" if name else side
    return f"internal note, {who}" if private else who


def _person(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if isinstance(value, dict):
        value = value.get("name")
    return plain(value) if isinstance(value, str) else ""


def _facts(ticket: dict[str, Any]) -> str:
    status = _STATUS.get(_short(ticket.get("status")), _short(ticket.get("status")))
    priority = _PRIORITY.get(_short(ticket.get("priority")), _short(ticket.get("priority")))
    tags = ticket.get("tags")
    told = {
        "Status": status,
        "Priority": priority,
        "Type": _short(ticket.get("type")),
        "Tags": ", ".join(_short(tag) for tag in tags) if isinstance(tags, list) else "",
    }
    return "\n".join(f"{name}: {value}" for name, value in told.items() if value)


def _short(value: Any) -> str:
    return plain(str(value)) if isinstance(value, str | int | float) else ""


def _bare(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())
