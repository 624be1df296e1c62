"""Ask several questions at once, asynchronously: python examples/many_questions.py "How …?" "What …?"

Start phiq first (`phiq up`) and ingest some documents, or set PHIQ_URL and PHIQ_API_KEY.
"""

from __future__ import annotations

import asyncio
import sys

import phiq


async def ask(client: phiq.AsyncClient, question: str) -> str:
    job = await client.submit("chat", question)
    return (await job.result(timeout=120)).text


async def main(questions: list[str]) -> None:
    async with phiq.AsyncClient() as client:
        answers = await asyncio.gather(*(ask(client, question) for question in questions))
    for question, answer in zip(questions, answers, strict=True):
        print(f"{question}\n{answer}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["How do I reset the Loop?", "How long is the warranty?"]))
