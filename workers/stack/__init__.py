"""phiq on one machine: Redis, Chroma, a worker and the scheduler, started and looked after together."""
