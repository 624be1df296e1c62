"""Token planning: what fits a model's prompt, counted before the call so that nothing is ever cut silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agents.errors import ContextOverflow

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

SMALLEST_INPUT = 3072
"""Tokens assumed where a model says nothing: the smallest Phi's 4096 less a quarter for the answer."""
SMALLEST_OUTPUT = 1024


class Budget:
    """How many tokens a model's prompt and answer may have, and how many a text takes.

    Attributes:
        prompt: The longest prompt in tokens, template included, that leaves room for the answer.
        answer: That room in tokens.
    """

    def __init__(self, model: BaseChatModel) -> None:
        profile = model.profile or {}
        self._model = model
        self.prompt = int(profile.get("max_input_tokens") or SMALLEST_INPUT)
        self.answer = int(profile.get("max_output_tokens") or SMALLEST_OUTPUT)
        self._frame: int | None = None

    def count(self, messages: Sequence[BaseMessage]) -> int:
        """Tokens of a prompt as it will be sent."""
        return self._model.get_num_tokens_from_messages(list(messages))

    def fits(self, messages: Sequence[BaseMessage]) -> bool:
        """Whether a prompt leaves room for its answer."""
        return self.count(messages) <= self.prompt

    def tokens(self, text: str) -> int:
        """About how many tokens a text adds to a prompt; errs high by one, for the seam."""
        from langchain_core.messages import HumanMessage

        if self._frame is None:
            # What the chat template adds to each message; "x" because an empty content may be refused.
            self._frame = self.count([HumanMessage("x")]) - 1
        return max(1, self.count([HumanMessage(text)]) - self._frame) + 1

    def require(self, messages: Sequence[BaseMessage], what: str, hint: str) -> None:
        """Make sure that a prompt fits.

        Raises:
            ContextOverflow: with ``tokens`` and ``limit``.
        """
        tokens = self.count(messages)
        if tokens > self.prompt:
            raise ContextOverflow(
                f"{what} takes {tokens} tokens; this model takes prompts of {self.prompt}.",
                hint=hint,
                tokens=tokens,
                limit=self.prompt,
            )


def most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest n in 0..limit with ``fits(n)``, given that less always fits where more does; -1 when none."""
    low, high = -1, limit
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
