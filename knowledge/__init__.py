"""Documents in, passages out: load, split, embed, store, retrieve."""
