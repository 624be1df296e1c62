"""Finds personal data and secrets in text: what has a form of its own, and what stands behind a label.

Names are found by their label only ("Name: …", "Bill to …"): a name in running text has no form to go by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal

from knowledge.types import Frozen

PrivateKind = Literal["email", "phone", "iban", "card", "secret", "name", "id"]

NAMES: dict[str, str] = {
    "email": "e-mail",
    "phone": "phone number",
    "iban": "IBAN",
    "card": "card number",
    "secret": "secret",
    "name": "name",
    "id": "personal number",
}
"""What stands in the place of each kind, in square brackets."""


class Private(Frozen):
    """A stretch of text that should not be shown."""

    kind: PrivateKind
    start: int
    end: int


_REGIONS = ("US", "GB", "DE", "AT", "CH", "FR", "ES", "IT", "NL", "HR", "IN", "AU", "MY")
"""Where numbers written without a country's code are looked for, by the grouping that is usual there."""

# A reader of pictures puts spaces around @ and dots, or leaves them out: one space is allowed beside @.
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64} ?@ ?(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_IBAN = re.compile(r"\b[A-Z]{2} ?\d{2}(?:[ ]{0,2}[A-Z0-9]){11,30}\b")
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]{0,2}\d){12,18}(?![\d])")
_LABELS: tuple[tuple[PrivateKind, str, str], ...] = (
    (
        "secret",
        (
            r"pass(?:word|wort|code|phrase)?|passwd|pwd|contraseña|mot de passe|lozinka|pin(?: code)?|cvv|cvc|otp|"
            r"(?:api|access|secret|private|license|licence)[ _-]?key|(?:access|auth|bearer|refresh)?[ _-]?token|"
            r"client[ _-]?secret|secret|aws_\w+|authorization"
        ),
        r"\S(?:.*\S)?",
    ),
    (
        "name",
        (
            r"(?:full |first |last |sur|customer |user|account |card ?holder'?s? |patient |contact )?name|"
            r"customer|card ?holder|patient|employee|contact(?: person)?|bill(?:ed)? to|ship(?:ped)? to|recipient|"
            r"sold to|attn|attention|signed by|nachname|vorname|kunde|nombre|apellidos?|nom|prénom|ime|prezime"
        ),
        r"\S(?:.*?\S)?(?=\s{2,}|$)",
    ),
    ("phone", r"tel(?:efon|ephone|éfono)?|phone|mobile|mob|cell|fax|handy", r"[+(]?\d[\d ()/.-]{4,}\d"),
    (
        "id",
        (
            r"ssn|social security|national id|passport|date of birth|dob|birth ?date|geburtsdatum|"
            r"driver'?s licen[cs]e|tax id|nric|i\.?c\.?|nhs|oib|dni|nie"
        ),
        r"[A-Za-z0-9][\w ./-]{3,30}",
    ),
)
_LABELLED = tuple(
    (kind, re.compile(rf"(?i)(?<![\w-])(?:{labels})\s*(?:no\.?|number|nr\.?|#)?\s*[:=]\s*(?P<value>{value})"))
    for kind, labels, value in _LABELS
)
_SSN = re.compile(r"\b(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b")
_BEARER = re.compile(r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{16,})")
_IN_URL = re.compile(r"\w+://[^\s:/@]+:([^\s@/]+)@")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_PLUGINS = (
    *("artifactory.ArtifactoryDetector", "aws.AWSKeyDetector", "azure_storage_key.AzureStorageKeyDetector"),
    *("discord.DiscordBotTokenDetector", "github_token.GitHubTokenDetector", "gitlab_token.GitLabTokenDetector"),
    *("jwt.JwtTokenDetector", "mailchimp.MailchimpDetector", "npm.NpmDetector", "openai.OpenAIDetector"),
    *("pypi_token.PypiTokenDetector", "sendgrid.SendGridDetector", "slack.SlackDetector"),
    *("square_oauth.SquareOAuthDetector", "stripe.StripeDetector", "telegram_token.TelegramBotTokenDetector"),
    "twilio.TwilioKeyDetector",
)


def find_private(text: str) -> list[Private]:
    """What is private in a line of text, in order, without overlaps (the earlier and longer of two wins)."""
    found = sorted(
        (one for look in (_forms, _labelled, _phones, _secrets) for one in look(text)),
        key=lambda one: (one.start, -one.end),
    )
    kept: list[Private] = []
    for one in found:
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = kept[-1].model_copy(update={"end": one.end})
        else:
            kept.append(one)
    return kept


def mask_text(text: str) -> tuple[str, dict[str, int]]:
    """The text with what is private replaced by its kind in square brackets, and how much of each kind there was."""
    counts: dict[str, int] = {}
    lines = []
    for line in text.split("\n"):
        masked, at = "", 0
        for one in find_private(line):
            masked += line[at : one.start] + f"[{NAMES[one.kind]}]"
            counts[one.kind] = counts.get(one.kind, 0) + 1
            at = one.end
        lines.append(masked + line[at:])
    return "\n".join(lines), counts


def _forms(text: str) -> Iterator[Private]:
    for match in _EMAIL.finditer(text):
        yield Private(kind="email", start=match.start(), end=match.end())
    for match in _IBAN.finditer(text):
        # What follows may look like more of it: the longest beginning that has the right check digits.
        for end in range(match.end(), match.start() + 14, -1):
            if text[end - 1] != " " and iban_holds(text[match.start() : end]):
                yield Private(kind="iban", start=match.start(), end=end)
                break
    for match in _CARD.finditer(text):
        if card_holds(match[0]):
            yield Private(kind="card", start=match.start(), end=match.end())
    for match in _SSN.finditer(text):
        yield Private(kind="id", start=match.start(), end=match.end())


def iban_holds(text: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 13616)."""
    plain = text.replace(" ", "")
    if not (15 <= len(plain) <= 34 and plain[:2].isalpha() and plain[2:4].isdigit() and plain.isalnum()):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def card_holds(text: str) -> bool:
    """Whether digits have the check digit of a card (Luhn), and begin as cards of payment do."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1:
        return False
    doubled = [digit if at % 2 == 0 else sum(divmod(2 * digit, 10)) for at, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _labelled(text: str) -> Iterator[Private]:
    for kind, pattern in _LABELLED:
        for match in pattern.finditer(text):
            yield Private(kind=kind, start=match.start("value"), end=match.end("value"))


def label_of(text: str) -> PrivateKind | None:
    """The kind whose label a text is, alone: its value stands beside or below. None for any other text."""
    bare = text.strip().rstrip(":= ")
    for kind, pattern in _LABELLED:
        match = pattern.match(f"{bare}: 0123456x")
        if match is not None and match.start("value") == len(bare) + 2 and (":" in text or kind != "name"):
            return kind
    return None


def _phones(text: str) -> Iterator[Private]:
    if sum(char.isdigit() for char in text) < 7:
        return
    import phonenumbers

    for region in (None, *_REGIONS):
        # A number without a country's code is one only where it is grouped as they are there: order numbers are not.
        lenient = phonenumbers.Leniency.VALID if region is None else phonenumbers.Leniency.EXACT_GROUPING
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=lenient):
            if region is None or re.search(r"\d[ ()/.-]+\d", match.raw_string):
                yield Private(kind="phone", start=match.start, end=match.end)


def _secrets(text: str) -> Iterator[Private]:
    for pattern in (_BEARER, _IN_URL):
        for match in pattern.finditer(text):
            yield Private(kind="secret", start=match.start(1), end=match.end(1))
    if _PRIVATE_KEY.search(text):
        yield Private(kind="secret", start=0, end=len(text))
    for look in _detectors():
        for value in look(text):
            if (at := text.find(value)) >= 0 and value:
                yield Private(kind="secret", start=at, end=_whole(text, at + len(value)))


def _whole(text: str, end: int) -> int:
    """The end of the token that begins before ``end``: a detector may know only its first characters."""
    while end < len(text) and (text[end].isalnum() or text[end] in "_-"):
        end += 1
    return end


@lru_cache(maxsize=1)
def _detectors() -> list[Callable[[str], Any]]:
    """detect-secrets' own, called one by one: its scanner keeps its settings in a global, and we have threads."""
    from importlib import import_module

    found: list[Callable[[str], Any]] = []
    for name in _PLUGINS:
        module, _, kind = name.partition(".")
        found.append(getattr(import_module(f"detect_secrets.plugins.{module}"), kind)().analyze_string)
    return found
