"""The truth about jobs, kept in Redis by scripts that check who writes."""

from workers.errors import MustRunAlone
from workers.ledger.attempt import Attempt
from workers.ledger.config import LedgerConfig
from workers.ledger.ledger import Ledger
from workers.ledger.overview import Limits, QueueInfo, TenantInfo
from workers.ledger.registry import WorkerInfo

__all__ = ["Attempt", "Ledger", "LedgerConfig", "Limits", "MustRunAlone", "QueueInfo", "TenantInfo", "WorkerInfo"]
