"""How models are run: one module an engine, found by URI through the registry."""
