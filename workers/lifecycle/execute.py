"""One attempt from its first chunk to its end: whatever happens in between, the ledger hears of it."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, cast

from agents.contract import Chunk, Progress, Result
from agents.errors import Interrupted, ModelMisbehaved
from knowledge.errors import PhiqError, ServiceError
from workers.errors import EngineOutOfMemory, LeaseLost
from workers.jobs import Job
from workers.ledger import Attempt
from workers.sight.attempts import Watch, watched

log = logging.getLogger(__name__)


class Runs(Protocol):
    """What is needed of `workers.runner.Runner`."""

    def run(
        self,
        job: Job,
        stop: threading.Event,
        checkpoints: Any = None,
        told: Callable[[Progress], None] | None = None,
    ) -> Iterator[Chunk]:
        """The job's chunks; the last one carries the result."""
        ...


def execute(attempt: Attempt, runner: Runs) -> None:
    """Run a claimed job and settle its attempt; never raises."""
    with watched(attempt) as watch:
        _execute(attempt, runner, watch)


def _execute(attempt: Attempt, runner: Runs, watch: Watch) -> None:
    try:
        try:
            result = _stream(attempt, runner, watch)
        except Interrupted:
            _interrupted(attempt)
        except LeaseLost:
            raise
        except BaseException as error:  # noqa: BLE001 - a library's exit() must not end the worker either
            # An engine that was told to stop may fail in its own way; what counts is why it was told.
            if attempt.stop.is_set():
                _interrupted(attempt)
            else:
                problem = _ours(attempt, error)
                watch.failed(problem.code)
                state = attempt.fail(problem)
                log.info("job %s attempt %d failed: now %s", attempt.id, attempt.number, state.value)
        else:
            log.info("job %s attempt %d: %s", attempt.id, attempt.number, attempt.succeed(result).value)
    except LeaseLost as error:
        log.warning("%s", error.message)
    except BaseException:
        # The lease runs out and the job is taken up again.
        log.exception("job %s attempt %d could not be settled", attempt.id, attempt.number)


def _stream(attempt: Attempt, runner: Runs, watch: Watch) -> Result:
    result: Result | None = None
    job = attempt.job.model_copy(update={"model": attempt.record.model})
    chunks = cast("Generator[Chunk]", runner.run(job, attempt.stop, attempt.checkpoints, attempt.progress))
    with contextlib.closing(chunks):
        for chunk in chunks:
            attempt.beat()
            watch.chunk(chunk)
            if chunk.delta:
                attempt.delta(chunk.delta)
            if chunk.progress is not None:
                attempt.progress(chunk.progress)
            if chunk.result is not None:
                result = chunk.result
    if result is None:
        raise ModelMisbehaved("The job ended without a result.", subject=attempt.id)
    return result


def _interrupted(attempt: Attempt) -> None:
    match attempt.stop_reason:
        case "cancelled":
            state = attempt.cancelled()
        case "expired":
            state = attempt.expired()
        case "released":
            state = attempt.release()
        case "lost":
            log.warning("job %s attempt %d stopped: its lease is lost", attempt.id, attempt.number)
            return
        case _:
            state = attempt.fail(ServiceError("The job stopped without being told to.", subject=attempt.id))
    log.info("job %s attempt %d: %s", attempt.id, attempt.number, state.value)


def _ours(attempt: Attempt, error: BaseException) -> PhiqError:
    if isinstance(error, PhiqError):
        return error
    if isinstance(error, MemoryError):
        return EngineOutOfMemory(
            "The worker ran out of memory.", hint="Lower PHIQ_SLOTS or use a smaller model.", subject=attempt.id
        )
    # The places, not the message: that may quote what the customer wrote.
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("job %s attempt %d: unexpected %s\n%s", attempt.id, attempt.number, type(error).__name__, places)
    return ServiceError(
        f"An unexpected {type(error).__name__} ended the job.",
        hint="This is a defect of phiq: the worker's log has the place; please report it.",
        subject=attempt.id,
        exception=type(error).__name__,
    )
