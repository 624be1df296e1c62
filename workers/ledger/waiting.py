"""Why a job has not started yet."""

from __future__ import annotations

from workers.jobs import Capability, State, Waiting
from workers.ledger import names, registry
from workers.ledger.registry import WorkerInfo


def explain(reply: list[str | int], workers: list[WorkerInfo], model: str) -> Waiting:
    """Put the script's figures and the living workers into a sentence.

    Args:
        reply: State, queue, attempts so far, ms until it may start, jobs ahead, ms the oldest has waited.
        workers: Those alive.
        model: The job's engine URI.
    """
    state, queue, attempt, until, ahead, oldest = (
        State(str(reply[0])),
        str(reply[1]),
        int(reply[2]),
        int(reply[3]) / 1000,
        int(reply[4]),
        int(reply[5]) / 1000,
    )
    capability, _ = names.split(queue)
    serving = [info for info in workers if capability in info.serves and not info.draining]
    reason, message = _reason(state, attempt, until, ahead, capability.value, serving, model)
    queued = state is State.QUEUED
    return Waiting(
        reason=reason,
        message=message,
        position=ahead + 1 if queued else 0,
        ahead=ahead if queued else 0,
        oldest_age=oldest if queued else 0.0,
        workers=len(serving),
    )


def _reason(
    state: State, attempt: int, until: float, ahead: int, capability: str, serving: list[WorkerInfo], model: str
) -> tuple[str, str]:
    if state is State.DELAYED:
        wait = f"in {max(0.0, until):.0f} s"
        if attempt:
            return "retry", f"Attempt {attempt} failed; the next one starts {wait}."
        return "delayed", f"Submitted with a delay; it may start {wait}."
    if state is not State.QUEUED:
        return "not_waiting", f"The job is {state.value}."
    if not serving:
        return "no_worker", f"No worker serves '{capability}'. Start one with `phiq up`; `phiq doctor` shows who lives."
    if any(model in info.loading for info in serving):
        return "model_loading", f"{model} is being loaded."
    slots = registry.slots(serving, Capability(capability))
    busy = sum(len(info.running) for info in serving)
    place = "It is next" if ahead == 0 else f"{ahead} job{'s' if ahead > 1 else ''} ahead of it"
    return "slots_full", f"{place}; {min(busy, slots)} of {slots} slots are busy."
