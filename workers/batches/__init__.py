"""Batches: many lines of work in one file, carried through any restart and written once each.

records   what a batch and a file are, as people see them
spec      what starts a batch: a file of lines, or documents with one task
store     batches in Redis, each change one script
files     the tenants' files: input, output and errors
lines     a line of a batch file, read and checked
driver    the thread in each worker that brings batches forward
"""

from workers.batches.records import BatchRecord, BatchState, FileRecord
from workers.batches.spec import BatchSpec, TaskSpec
from workers.batches.start import collect, start

__all__ = ["BatchRecord", "BatchSpec", "BatchState", "FileRecord", "TaskSpec", "collect", "start"]
