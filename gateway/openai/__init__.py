"""OpenAI's HTTP API, as its official client speaks it."""
