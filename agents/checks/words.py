# ruff: noqa: RUF001 -- typographic apostrophes are meant
"""The words of a sentence that carry its claim, in any script."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# Scripts written without spaces: a run of characters is read as overlapping pairs.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_FUNCTION = _words(
    "the and for are was were been being has have had does did can could will would shall should may might must "
    "this that these those there here with from into onto upon about after before within during between over under "
    "than then also only just very more most some any each every other such both all who whom whose which what when "
    "where why how you your yours they them their its our ours his her him she one yes not nor but because while "
    "according document documents passage passages provided following however therefore please "
    "der die das den dem des ein eine einen einem einer und oder ist sind war waren wird werden kann können mit von "
    "für auf aus bei nach über unter nicht sich sie ihr ihre ihren auch nur als wenn dass "
    "les une est sont était avec pour dans sur par que qui vous votre vos nous notre leur leurs pas plus aussi "
    "los las del una uno son fue con para por sus como más pero también puede "
    "gli dei della delle nel nella sono era che per non più anche "
    "dos uma são foi com não mais também het een van zijn met voor niet ook"
)
_NEGATIONS = _words(
    "no not never none neither nor nobody nothing nowhere cannot without unable "
    "nicht kein keine keinen keinem keiner nie niemals ohne ne pas jamais aucun aucune sans "
    "non nunca jamás ningún ninguna sin mai nessun nessuna senza não nenhum nenhuma sem niet geen nooit zonder "
    "не нет нельзя без никогда"
)
_NOT_ONLY = _words("only just merely nur seulement solo sólo solamente")
_LIMITS = _words(
    "except excepted excluded excludes excluding exclude only unless impossible forbidden prohibited refused "
    "refuse declined unavailable invalid ineligible lacks lack instead fail fails failed"
)


def content_words(text: str) -> frozenset[str]:
    """The words that carry meaning, case folded; pairs of characters in scripts without spaces."""
    found: set[str] = set()
    for run in _UNSPACED.findall(text):
        found.update(run[i : i + 2] for i in range(max(1, len(run) - 1)))
    for word in _WORD.findall(_UNSPACED.sub(" ", text)):
        folded = word.casefold()
        if folded not in _FUNCTION and (len(folded) > 2 or (len(word) == 2 and word.isupper())):
            found.add(folded.removesuffix("'s").removesuffix("’s"))
    return frozenset(found)


def shared_words(claim: frozenset[str], evidence: Iterable[str]) -> frozenset[str]:
    """The claim's words that stand in the evidence, endings aside (delivery, delivered)."""
    exact = frozenset(evidence)
    by_head: dict[str, list[str]] = {}
    for word in exact:
        by_head.setdefault(word[:4], []).append(word)
    return frozenset(
        word for word in claim if word in exact or any(_related(word, other) for other in by_head.get(word[:4], ()))
    )


def negated_words(text: str) -> list[frozenset[str]]:
    """For each "not" of a text (in a few European languages) the next content words, up to three: what it denies."""
    words = [word.casefold().replace("’", "'") for word in _WORD.findall(text)]
    denied = []
    for at, word in enumerate(words):
        following = words[at + 1 : at + 2]
        if (word in _NEGATIONS or word.endswith("n't")) and not (following and following[0] in _NOT_ONLY):
            ahead = [other for other in words[at + 1 :] if len(other) > 2 and other not in _FUNCTION]
            denied.append(frozenset(ahead[:3]))
    return denied


def limits(text: str) -> frozenset[str]:
    """Words that draw a limit without a "not", from which a no may follow: excluded, only, unavailable."""
    words = map(str.casefold, _WORD.findall(text))
    return frozenset(word for word in words if word in _LIMITS or word.startswith("un"))


def _related(one: str, other: str) -> bool:
    shorter = min(len(one), len(other))
    prefix = max(4, shorter - 1)
    return shorter >= 4 and one[:prefix] == other[:prefix]
