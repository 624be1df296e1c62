"""Messages this worker sends by way of Celery: canaries for itself. Job ids are sent by the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workers.errors import RedisUnavailable
from workers.ledger import names


class Broker:
    """The sending side; ``error`` says why messages can't be sent, and is empty while they can."""

    def __init__(self) -> None:
        self.error = ""

    def send_canary(self, worker: str) -> None:
        """Put a message into the queue that only this worker reads.

        Raises:
            RedisUnavailable: the broker does not take it.
        """
        from workers.app import app

        with self._noting():
            app.send_task("phiq.canary", queue=names.worker_queue(worker), retry=False)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        from kombu.exceptions import OperationalError

        try:
            yield
        except OperationalError as error:
            self.error = f"The broker does not take messages ({type(error).__name__})."
            raise RedisUnavailable(self.error, hint="phiq doctor", subject="broker") from error
        self.error = ""
