"""Which collections a principal reaches."""

from __future__ import annotations

from knowledge.errors import CollectionNotFound
from workers.access.principal import Principal


def may_use(who: Principal, collection: str | None) -> None:
    """Nothing where a principal may use a collection; None is none.

    Raises:
        CollectionNotFound: it may not; in the words for one that is not there.
    """
    if collection is not None and not reaches(who, collection):
        raise CollectionNotFound(
            f"There is no collection '{collection[:128]}'.",
            hint=f"Upload documents first: POST /v1/documents?collection={collection[:128]}",
            subject=collection[:128],
        )


def reaches(who: Principal, collection: str) -> bool:
    """Whether it may."""
    return who.collections is None or collection in who.collections
