"""Continuous batching over plain ONNX Runtime: a loop of our own around the graph that GenAI's builder writes.

GenAI itself batches on the CPU only what starts together, and keeps no prefix for another run.
"""
