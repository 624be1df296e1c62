"""The files that paths, folders and patterns stand for; see `knowledge.files`."""

from knowledge.files import expand

__all__ = ["expand"]
