"""English names of languages by their code: small models follow a name better than a code."""

from __future__ import annotations


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs.split())


_NAMES = _table(
    "ar=Arabic bg=Bulgarian bn=Bengali ca=Catalan cs=Czech da=Danish de=German el=Greek en=English es=Spanish "
    "et=Estonian fa=Persian fi=Finnish fr=French ga=Irish he=Hebrew hi=Hindi hr=Croatian hu=Hungarian "
    "id=Indonesian is=Icelandic it=Italian ja=Japanese ko=Korean lt=Lithuanian lv=Latvian ms=Malay mt=Maltese "
    "nb=Norwegian nl=Dutch nn=Norwegian no=Norwegian pl=Polish pt=Portuguese ro=Romanian ru=Russian sk=Slovak "
    "sl=Slovenian sq=Albanian sr=Serbian sv=Swedish sw=Swahili ta=Tamil te=Telugu th=Thai tr=Turkish "
    "uk=Ukrainian ur=Urdu vi=Vietnamese zh=Chinese"
)


_CODES = {name.casefold(): code for code, name in _NAMES.items() if code not in ("no", "nn")}


def language_code(code_or_name: str) -> str:
    """The primary code for a BCP 47 code or an English name; empty where neither is known.

    ``German``, ``de`` and ``de-AT`` are de.
    """
    word = " ".join(code_or_name.split()).casefold()
    primary = word.replace("_", "-").split("-")[0]
    return _CODES.get(word) or (primary if primary in _NAMES else "")


def language_name(code_or_name: str) -> str:
    """The English name for a BCP 47 code, with a longer code in brackets; a name stays as it is.

    ``de`` is German, ``pt-BR`` Portuguese (pt-BR), ``Klingon`` Klingon.
    """
    code = " ".join(code_or_name.split())
    primary = code.replace("_", "-").split("-")[0].lower()
    name = _NAMES.get(primary)
    if name is None:
        return code
    return name if primary == code.lower() else f"{name} ({code})"
