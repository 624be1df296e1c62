"""From the record of a job that succeeded to the body of the answer."""

from __future__ import annotations

from typing import Any

from workers.jobs import JobRecord


def body_of(url: str, record: JobRecord) -> dict[str, Any]:
    """The body of the answer.

    Args:
        url: The path the request was sent to.
        record: Its job, with its result.
    """
    result = record.result or {}
    created = int((record.finished_at or record.submitted_at).timestamp())
    usage = result.get("usage") or {}
    counts = (int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))
    about = {"created": created, "model": record.model}
    total = {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts)}
    reason = result.get("finish_reason", "stop")
    reason = "stop" if reason == "abstained" else reason
    text = result.get("text", "")
    match url:
        case "/v1/chat/completions":
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
            return {
                "id": f"chatcmpl-{record.id}",
                "object": "chat.completion",
                **about,
                "choices": [choice],
                "usage": total,
            }
        case "/v1/completions":
            choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
            return {
                "id": f"cmpl-{record.id}",
                "object": "text_completion",
                **about,
                "choices": [choice],
                "usage": total,
            }
        case "/v1/embeddings":
            vectors = result.get("vectors", [])
            data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
            spent = {"prompt_tokens": counts[0], "total_tokens": counts[0]}
            return {"object": "list", "data": data, "model": result.get("model", ""), "usage": spent}
        case _:
            return _response(record, text, created, counts, cut=reason == "length")


def _response(record: JobRecord, text: str, created: int, counts: tuple[int, int], *, cut: bool) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    status = "incomplete" if cut else "completed"
    message = {"type": "message", "id": f"msg_{record.id}", "status": status, "role": "assistant", "content": [part]}
    return {
        "id": f"resp_{record.id}",
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "model": record.model,
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "usage": {
            "input_tokens": counts[0],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": counts[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(counts),
        },
    }
