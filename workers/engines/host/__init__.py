"""The process that owns a model, and the parent's side of it.

The libraries that run models hold the GIL for seconds, may end their process on bad input, and leak. Here they do so
in a child of the worker, where that stops no heartbeat, no stream and no other job.
"""
