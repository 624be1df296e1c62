"""What the measurements of queue and ledger share."""
