"""Answers held to a form: a JSON schema, a regular expression or a choice allows some tokens and forbids the rest.

The library llguidance knows which (GenAI has it inside, where this loop can't reach it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.host.backends.onnx.graph import Floats
from workers.engines.host.failures import Unusable
from workers.engines.host.forms import choice, compact
from workers.engines.host.protocol import Guide


class Guides:
    """Makes forms for one model; its tokenizer is read at the first.

    Args:
        folder: Holds tokenizer.json.
        vocabulary: Logits a token has.
        ends: Tokens that end an answer.
    """

    def __init__(self, folder: str, vocabulary: int, ends: frozenset[int]) -> None:
        self._folder = folder
        self._vocabulary = vocabulary
        self._ends = sorted(ends)
        self._tokenizer: Any = None

    def make(self, guide: Guide, made: tuple[int, ...]) -> Form:
        """A form, told what an earlier run made.

        Raises:
            Unusable: it can't be compiled, or the library is not installed.
        """
        try:
            import llguidance
        except ImportError as error:
            raise Unusable("answers held to a form need llguidance: pip install llguidance") from error
        if self._tokenizer is None:
            path = Path(self._folder) / "tokenizer.json"
            self._tokenizer = llguidance.LLTokenizer(str(path), n_vocab=self._vocabulary, eos_token=self._ends)
        try:
            matcher = llguidance.LLMatcher(self._tokenizer, _grammar(llguidance.LLMatcher, guide), log_level=0)
            problem = matcher.get_error()
        except Unusable:
            raise
        except Exception as error:  # noqa: BLE001 - it raises ValueError, and others for what is no JSON
            problem = str(error)
        if problem:
            raise Unusable(f"the {guide.kind} of the answer can't be used: {problem}")
        form = Form(matcher, self._vocabulary)
        for token in made:
            form.take(token)
        return form


class Form:
    """What one answer may still be."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    @property
    def full(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped())

    def forbid(self, logits: Floats) -> Floats:
        """The logits with those of forbidden tokens at minus infinity."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: self._vocabulary].astype(bool)
        return np.where(allowed, logits, np.float32(-np.inf))

    def take(self, token: int) -> None:
        """The next token of the answer."""
        self._matcher.consume_token(token)


def _grammar(matcher: Any, guide: Guide) -> Any:
    if guide.kind == "json_schema":
        return matcher.grammar_from_json_schema(compact(guide.text))
    if guide.kind == "regex":
        return matcher.grammar_from_regex(guide.text)
    return matcher.grammar_from_regex(choice(guide.text))
