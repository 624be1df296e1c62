"""ONNX Runtime GenAI as its own examples run it, in a process of its own: one request at a time, or several in a batch.

A batch is what its generator offers on a CPU: the requests that wait are read together and go on together until all
have their tokens; those that come later wait for the next one. Nothing is kept from one to the next.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil

Asked = tuple[int, tuple[int, ...], int]
"""Number, prompt, tokens to make."""


def serve(pipe: Connection, folder: str, threads: int, most: int) -> None:
    """Run what comes until the pipe closes; for each request as many numbers as it gets tokens, as they come."""
    import onnxruntime_genai as og

    config = og.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = og.Model(config)
    waiting: list[Asked] = []
    pipe.send(-1)
    try:
        while True:
            # Those that were sent together are in one batch, as they would be where they wait.
            while not waiting or (len(waiting) < most and pipe.poll(0.02)) or pipe.poll():
                waiting.append(pipe.recv())
            # A batch is one array, so those of one length go together; the benchmark's prompts of a part all have one.
            batch = [one for one in waiting if len(one[1]) == len(waiting[0][1])][:most]
            waiting = [one for one in waiting if one not in batch]
            _run(og, model, pipe, batch)
    except EOFError:
        return


def _run(og: Any, model: Any, pipe: Connection, batch: list[Asked]) -> None:
    made = max(tokens for _, _, tokens in batch)
    length = len(batch[0][1]) + made
    params = og.GeneratorParams(model)
    # The shortest allowed length keeps random weights from ending early.
    params.set_search_options(batch_size=len(batch), max_length=length, min_length=length, do_sample=False)
    generator = og.Generator(model, params)
    generator.append_tokens(np.array([prompt for _, prompt, _ in batch], dtype=np.int32))
    for number in range(made):
        generator.generate_next_token()
        for request, _, tokens in batch:
            if number < tokens:
                pipe.send(request)


@dataclass
class Plain:
    """GenAI by itself.

    Args:
        name: For the tables.
        folder: The ONNX folder.
        threads: As many as the others have.
        most: Requests in a batch.
    """

    name: str
    folder: Path
    threads: int
    most: int
    token_bytes: int = 0
    _queues: dict[int, SimpleQueue[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    @property
    def slots(self) -> int:
        """Requests in a batch."""
        return self.most

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(target=serve, args=(theirs, str(self.folder), self.threads, self.most))
        self._child.start()
        theirs.close()
        self._pipe.recv()
        threading.Thread(target=self._read, daemon=True).start()
        list(self.run((300,) * 65, 2, threading.Event()))

    def run(self, prompt: tuple[int, ...], tokens: int, stop: threading.Event) -> Iterator[int]:
        """A one for each token."""
        del stop  # there is no way to end it
        queue: SimpleQueue[int] = SimpleQueue()
        with self._lock:
            number = self._count = self._count + 1
            self._queues[number] = queue
            self._pipe.send((number, prompt, tokens))
        for _ in range(tokens):
            yield queue.get()
        del self._queues[number]

    def process(self) -> psutil.Process:
        """The child."""
        return psutil.Process(self._child.pid)

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._child.join()

    def _read(self) -> None:
        try:
            while True:
                self._queues[self._pipe.recv()].put(1)
        except (EOFError, OSError):
            return
