"""Which run belongs to whom: all workers' runs meet in one scheduler, each worker with numbers of its own."""

from __future__ import annotations

import itertools
from dataclasses import replace

from workers.engines.host.guests import Guest
from workers.engines.host.outbox import Outbox
from workers.engines.host.protocol import (
    Cancelled,
    Done,
    Failed,
    Others,
    Ready,
    Request,
    Retiring,
    RunEvent,
)

_FIRST = 2**40
"""The number of the first guest's run: the owner's have their own numbers, which never come so far."""


class Hub:
    """Sends each event to the worker whose run it is.

    Args:
        owner: Of the worker that started this process; that it is gone is an OSError of ``send``.
    """

    def __init__(self, owner: Outbox) -> None:
        self._owner = owner
        self._guests: dict[Guest, dict[int, int]] = {}
        """Their runs: ours by their numbers."""
        self._runs: dict[int, tuple[Guest | None, int, bool]] = {}
        """By our numbers: whose, their number, whether it is a batch run."""
        self._ids = itertools.count(_FIRST)
        self._told: dict[Guest | None, Others] = {None: Others()}
        self._changed = False
        self._leaving = False

    def came(self, guest: Guest, ready: Ready) -> None:
        """A worker joined."""
        self._guests[guest] = {}
        self._changed = True
        self._say(guest, ready)
        if self._leaving:  # it came in just before the door was shut
            self._say(guest, Retiring())

    def went(self, guest: Guest) -> list[int]:
        """A worker is gone; returns its runs, which nobody wants any more."""
        self._told.pop(guest, None)
        self._changed = True
        return list(self._guests.pop(guest, {}).values())

    def take(self, guest: Guest | None, request: Request) -> Request:
        """Give a worker's run its number here."""
        self._changed = True
        number = request.id
        if guest is not None:
            number = next(self._ids)
            self._guests[guest][request.id] = number
        self._runs[number] = (guest, request.id, request.batch)
        return request if guest is None else replace(request, id=number)

    def ours(self, guest: Guest | None, number: int) -> int | None:
        """The number here of a worker's run; None when it has none such."""
        return number if guest is None else self._guests[guest].get(number)

    def send(self, event: RunEvent) -> None:
        """Tell the worker whose run it is.

        Raises:
            OSError: the owner is gone.
        """
        run = self._runs.get(event.id)
        ends = isinstance(event, Done | Failed | Cancelled)
        if ends and run is not None:
            del self._runs[event.id]
            self._changed = True
        guest = run[0] if run is not None else None
        if run is None or guest is None:
            self._owner.send(event)
            return
        if ends and guest in self._guests:
            self._guests[guest].pop(run[1], None)
        self._say(guest, replace(event, id=run[1]))

    def tell(self) -> None:
        """Tell each worker what the others have here, where that has changed."""
        if not self._changed:
            return
        self._changed = False
        if not self._guests and self._told == {None: Others()}:
            return
        everyone: list[Guest | None] = [None, *self._guests]
        for one in everyone:
            lanes = [batch for guest, _, batch in self._runs.values() if guest is not one]
            others = Others(len(everyone) - 1, len(lanes) - sum(lanes), sum(lanes))
            if self._told.get(one) != others:
                self._told[one] = others
                self._say(one, others)

    def send_away(self) -> None:
        """Ask the guests to leave when their runs are done."""
        self._leaving = True
        for guest in self._guests:
            self._say(guest, Retiring())

    def _say(self, one: Guest | None, message: object) -> None:
        if one is None:
            self._owner.send(message)
            return
        try:
            one.outbox.send(message)
        except OSError:
            one.dismiss()  # its thread reports that it left
