"""Whether a translation addresses its reader as it was asked to: by the pronouns of languages that have two ways.

Only what can be told for sure is told: German "Sie" counts inside a sentence, since "sie" begins one with a capital
too; a text that has both ways may quote somebody, and passes.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from agents.checks.protect import Problem, without_items

Formality = Literal["formal", "informal"]


class _Address(NamedTuple):
    """How a reader is addressed; ``say`` is for people and models, the patterns find the words in a text."""

    say: tuple[str, str]
    formal: re.Pattern[str]
    informal: re.Pattern[str]


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words.replace(' ', '|')})\b", re.IGNORECASE)


_ADDRESS = {
    "de": _Address(
        ("Sie", "du"),
        re.compile(r"(?<=[\w,;:] )(?:Sie|Ihnen|Ihr|Ihre[mnrs]?)\b"),
        _words("du dich dir dein deine deinem deinen deiner deines"),
    ),
    "fr": _Address(("vous", "tu"), _words("vous votre vos"), re.compile(r"\b(?:tu|toi|tes)\b|\bt['’]", re.IGNORECASE)),  # noqa: RUF001
    "es": _Address(("usted", "tú"), _words("usted ustedes"), _words("tú ti tus contigo tuyo tuya")),
    "it": _Address(
        ("Lei", "tu"),
        re.compile(r"(?<=[\w,;:] )(?:Lei|Le|La|Suo|Sua|Suoi|Sue)\b"),
        _words("tu tuo tua tuoi tue"),
    ),
    "nl": _Address(("u", "je"), _words("u uw"), _words("je jij jou jouw")),
    "pl": _Address(
        ("Pan/Pani", "ty"),
        re.compile(r"\b(?:Pan|Pana|Panu|Panem|Pani|Panią|Państwo|Państwa|Państwu|Państwem)\b"),
        _words("ty ciebie cię tobie ci tobą twój twoja twoje twojego twojej twoim"),
    ),
    "ru": _Address(
        ("вы", "ты"),
        _words("вы вас вам вами ваш ваша ваше ваши вашего вашей вашему вашим"),
        _words("ты тебя тебе тобой твой твоя твоё твое твои твоего твоей"),
    ),
    "cs": _Address(("vy", "ty"), _words("vy vás vám vámi váš vaše vaši"), _words("ty tebe tě tobě tebou tvůj tvoje")),
    "hr": _Address(("Vi", "ti"), _words("vi vas vam vama vaš vaša vaše"), _words("tebe tebi tobom tvoj tvoja")),
    "tr": _Address(("siz", "sen"), _words("siz sizi size sizin sizden"), _words("sen seni sana senin senden")),
    "uk": _Address(("ви", "ти"), _words("ви вас вам вами ваш ваша ваші"), _words("ти тебе тобі тобою твій твоя твої")),
}  # fmt: skip
ALIKE = frozenset({"en"})
"""Languages that have one way only."""


def address(language: str, formality: Formality) -> str:
    """The pronoun that a reader is addressed by; empty where it is not known."""
    known = _ADDRESS.get(language)
    return "" if known is None else known.say[formality == "informal"]


def check_formality(target: str, language: str, formality: Formality) -> list[Problem]:
    """Hold a translation against how its reader is to be addressed; empty when nothing speaks against it.

    Args:
        target: The translation.
        language: Primary code of its language.
        formality: What was asked for.
    """
    known = _ADDRESS.get(language)
    if known is None:
        return []
    text = without_items(target)
    right, wrong = (known.formal, known.informal) if formality == "formal" else (known.informal, known.formal)
    if (found := wrong.search(text)) and not right.search(text):
        say = known.say[formality == "informal"]
        return [Problem("formality", f'"{found[0]}" is not the {formality} address ({say})')]
    return []
