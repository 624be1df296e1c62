"""Files in, documents out: one module a format, chosen by the name's ending and checked against the bytes."""

from __future__ import annotations

from knowledge.load.content import Helpers
from knowledge.load.limits import LoadLimits
from knowledge.load.load import SUFFIXES, load, plain_text
from knowledge.load.read import read_file

__all__ = ["SUFFIXES", "Helpers", "LoadLimits", "load", "plain_text", "read_file"]
