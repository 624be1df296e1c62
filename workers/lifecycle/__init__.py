"""A worker process's life around Celery's: start, heartbeat, leases, drain, end."""

from workers.lifecycle.process import current

__all__ = ["current"]
