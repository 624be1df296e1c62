"""The tables of docs/http.md, made from the routes and the codes; a test checks that the page is current.

``python -m gateway.http.page docs/http.md`` writes them anew.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gateway.http import problems
from gateway.http.app import create_app
from workers.service import Service
from workers.settings import Settings

_MADE = "made by `python -m gateway.http.page docs/http.md`, don't edit"


def refresh(text: str) -> str:
    """A page with its tables made anew.

    Raises:
        ValueError: when the page has no place for one.
    """
    for name, table in (("codes", codes()), ("routes", routes())):
        begin, end = f"<!-- {name}: {_MADE} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the {name}")
        text = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return text


def codes() -> str:
    """Status and codes."""
    found: dict[int, list[str]] = defaultdict(list)
    for code, status in problems.STATUS.items():
        found[status].append(code)
    found[400] += ["request_invalid", "job_invalid", "bad_request"]
    found[500].append("internal")
    rows = ["| Status | Codes |", "|---|---|"]
    for status in sorted(found):
        more = ", and every other fault of the request" if status == HTTPStatus.BAD_REQUEST else ""
        rows.append(f"| {status} | {', '.join(f'`{code}`' for code in sorted(set(found[status])))}{more} |")
    return "\n".join(rows)


def routes() -> str:
    """Every route with what it does, family by family."""
    service = Service.connect(Settings(redis_url="redis://127.0.0.1/0"))
    page: dict[str, Any] = create_app(service).openapi()
    found: dict[str, list[str]] = defaultdict(list)
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            first = re.split(r"(?<=\.)\s|\n\n", operation.get("description", ""))[0].rstrip(".").replace("\n", " ")
            found[operation["tags"][0]].append(f"| `{method.upper()} {path}` | {first} |")
    parts = [f"### {tag}\n\n| | |\n|---|---|\n" + "\n".join(rows) for tag, rows in sorted(found.items())]
    return "\n\n".join(parts)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(refresh(page.read_text(encoding="utf-8")), encoding="utf-8")
