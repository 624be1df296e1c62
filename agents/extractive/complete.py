"""Completion without a generative model: a clear refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.contract import Chunk, CompleteInput
from agents.extractive.no_model import refuse

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


def build_complete() -> Runnable[CompleteInput, Chunk]:
    """A runnable whose stream raises :class:`agents.errors.NeedsModel` with the command that gets a model."""
    return refuse("Completing a prompt", "complete")
