"""What the OpenAPI page shows of jobs."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

JOB_ID = "019aaf3c5e6b7c0d8e9fa0b1c2d3e4f5"

JOBS: dict[str, Example] = {
    "chat": {
        "summary": "A question to your documents",
        "value": {
            "kind": "chat",
            "input": {"messages": [{"role": "user", "content": "How do I reset it?"}], "collection": "handbook"},
        },
    },
    "summarize": {
        "summary": "A summary, in the batch lane",
        "value": {
            "kind": "summarize",
            "input": {"texts": [{"text": "The display stayed dark …", "name": "ticket-81"}], "sentences": 3},
            "lane": "batch",
            "metadata": {"ticket": "81"},
        },
    },
    "translate": {
        "summary": "A translation by a generative model",
        "value": {
            "kind": "translate",
            "input": {"text": "Hold the button for ten seconds.", "target": "de"},
            "model": "ollama:phi3.5",
            "deadline": 60,
        },
    },
    "search": {
        "summary": "Passages of a collection",
        "value": {"kind": "search", "input": {"query": "reset", "collection": "handbook", "top_k": 3}},
    },
}

RECORD: dict[str, Any] = {
    "version": 2,
    "id": JOB_ID,
    "kind": "summarize",
    "state": "queued",
    "lane": "batch",
    "tenant": "default",
    "capability": "core",
    "model": "extractive",
    "submitted_at": "2026-11-24T06:00:00Z",
    "attempt": 0,
    "max_attempts": 3,
    "attempts": [],
    "cancel_requested": False,
    "metadata": {"ticket": "81"},
    "job": {"kind": "summarize", "input": {"texts": [{"text": "The display stayed dark …", "name": "ticket-81"}]}},
    "result": None,
}

WAITING: dict[str, Any] = {
    "reason": "slots_full",
    "message": "2 jobs ahead of it; 4 of 4 slots are busy.",
    "position": 3,
    "ahead": 2,
    "oldest_age": 4.2,
    "workers": 1,
    "expected_start": 1.5,
}
