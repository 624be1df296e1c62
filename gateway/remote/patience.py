"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from typing import Any

from gateway.remote.errors import GatewayUnreachable
from knowledge.errors import PhiqError

_TOO_MANY, _UNAVAILABLE = 429, 503
_FIRST, _LONGEST = 0.2, 5.0
_STRANGER = 3.0


def worth(error: BaseException, *, repeatable: bool) -> bool:
    """Whether sending the request again may help and can't do harm.

    Args:
        error: What became of it.
        repeatable: Whether twice is no more than once.
    """
    if isinstance(error, GatewayUnreachable):
        return repeatable or not error.details.get("sent")
    # These two say that nothing was done.
    return isinstance(error, PhiqError) and error.details.get("http_status") in (_TOO_MANY, _UNAVAILABLE)


def pause(error: BaseException | None, tries: int) -> float:
    """Seconds to wait before trying again: what the server asks for, else longer each time.

    Args:
        error: Of the try before.
        tries: How many there were.
    """
    asked = error.details.get("retry_after") if isinstance(error, PhiqError) else None
    if isinstance(asked, int | float):
        return float(asked) * random.uniform(1.0, 1.1)  # noqa: S311 - so that not all come back at once
    longest = min(_LONGEST, _FIRST * 2.0 ** min(tries - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


class Patience:
    """How long one door tries. Where nobody has ever answered it soon gives up: the address is probably wrong.

    Args:
        seconds: After so many nothing is tried again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._met = False

    @property
    def seconds(self) -> float:
        """As it is by now."""
        return self._seconds if self._met else min(self._seconds, _STRANGER)

    def met(self) -> None:
        """Somebody answered."""
        self._met = True

    def options(self, *, repeatable: bool) -> dict[str, Any]:
        """For tenacity's ``Retrying`` and its asynchronous twin.

        Args:
            repeatable: As in `worth`.
        """
        import tenacity

        def wait(state: tenacity.RetryCallState) -> float:
            return pause(state.outcome.exception() if state.outcome else None, state.attempt_number)

        def stop(state: tenacity.RetryCallState) -> bool:
            return (state.seconds_since_start or 0.0) + state.upcoming_sleep >= self.seconds

        return {
            "retry": tenacity.retry_if_exception(lambda error: worth(error, repeatable=repeatable)),
            "stop": stop,
            "wait": wait,
            "reraise": True,
        }
