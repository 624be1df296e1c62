"""Errors of the agents: what can't be asked of a model, and what a model did wrong."""

from __future__ import annotations

from knowledge.errors import ServiceError, UserError


class ContextOverflow(UserError):
    """Raised when a prompt does not fit the model's context; details carry ``tokens`` and ``limit``."""

    code = "context_overflow"


class NeedsModel(UserError):
    """Raised when the extractive engine is asked for what only a generative model can do."""

    code = "needs_model"


class FormatBroken(UserError):
    """Raised when a text is not in the format that was named for it; details carry the ``line`` where known."""

    code = "format_broken"


class ModelCannotSee(UserError):
    """Raised when a picture is sent to a model without vision."""

    code = "model_cannot_see"


class ModelMisbehaved(ServiceError):
    """Raised when a model's answer can't be used (empty, no end, not the asked form)."""

    code = "model_misbehaved"
    transient = True


class Interrupted(Exception):
    """Raised inside an agent when its job is cancelled, expired or released.

    A signal, not an error: nobody did anything wrong, and it is never shown to people.
    """
