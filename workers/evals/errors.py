"""Errors of evaluations."""

from __future__ import annotations

from knowledge.errors import UserError


class SetInvalid(UserError):
    """Raised when a set is not there or one of its lines can't be used; ``subject`` is the file with its line."""

    code = "eval_set_invalid"


class ExtraMissing(UserError):
    """Raised when the libraries that measure are not installed."""

    code = "extra_missing"


def need_extra() -> None:
    """Make sure that what the optional part ``eval`` brings is there.

    Raises:
        ExtraMissing: with the command that installs it.
    """
    from importlib.util import find_spec

    names = {
        "ir_measures": "ir-measures",
        "matplotlib": "matplotlib",
        "rouge_score": "rouge-score",
        "sacrebleu": "sacrebleu",
    }
    if missing := [package for module, package in names.items() if find_spec(module) is None]:
        raise ExtraMissing(
            f"Measuring needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            hint="pip install 'phiq[eval]'",
            subject=missing[0],
        )
