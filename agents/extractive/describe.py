"""Pictures without a vision model: what was measured, and the text that was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.checks.words import content_words
from agents.contract import Chunk, DescribeRequest, DescriptionResult, Progress
from agents.extractive.evidence import coverage
from agents.runnable import as_runnable
from tools.picture_facts import measure
from tools.pictures import PictureLimits, open_picture
from tools.read_image_text import as_text, is_reliable, rows
from tools.types import PictureFacts, TextLine

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.runnables import Runnable

NO_MODEL = "No generative model was used: the text was read and the rest measured, nothing was interpreted."
UNSURE = "Lines marked (?) were read with doubt."
_NEEDS_EYES = (
    "The text in the picture does not answer the question. What a picture shows needs a vision model: "
    "`ollama pull llava`, then `--model ollama:llava`."
)
_ENOUGH_WORDS = 0.6
_ENOUGH_COSINE = 0.5


def build_describe(
    limits: PictureLimits | None = None, embeddings: Embeddings | None = None
) -> Runnable[DescribeRequest, Chunk]:
    """A runnable that says what can be known of pictures without a model that sees.

    Args:
        limits: What a picture may be at most.
        embeddings: Finds the line that answers a question by its meaning; without them by its words only.

    The stream raises:
        ImageUnreadable, ImageTooLarge: naming the first picture that can't be decoded.
    """

    def steps(request: DescribeRequest) -> Iterator[Chunk]:
        yield from _describe(request, limits or PictureLimits(), embeddings)

    return as_runnable(steps, "extractive_describe")


def _describe(request: DescribeRequest, limits: PictureLimits, embeddings: Embeddings | None) -> Iterator[Chunk]:
    several = len(request.pictures) > 1
    text = ""
    facts: list[PictureFacts] = []
    for number, picture in enumerate(request.pictures, start=1):
        image = open_picture(picture.data, picture.name, limits)
        found = measure(picture.name, image, image.format or "")
        said = (f"{number}. {picture.name}: " if several else "") + describe_facts(found)
        delta = f"\n\n{said}" if text else said
        text += delta
        facts.append(found)
        progress = Progress(done=number, total=len(request.pictures), note=picture.name)
        yield Chunk(delta=delta, progress=progress)
    notes = [NO_MODEL]
    if any(not is_reliable(line) for found in facts for line in found.lines):
        notes.append(UNSURE)
    if request.question:
        answer = _answer(request.question, facts, embeddings)
        if answer is None:
            notes.append(_NEEDS_EYES)
        else:
            delta = f"\n\n{answer}"
            text += delta
            yield Chunk(delta=delta)
    yield Chunk(result=DescriptionResult(text=text, facts=facts, notes=notes))


def describe_facts(facts: PictureFacts) -> str:
    """The facts as sentences; text that was read follows, a row a line, doubtful pieces marked."""
    size = f"{facts.width} x {facts.height} pixels"
    if facts.kind == "blank":
        said = [f"Blank picture, {size}{', all ' + facts.colours[0] if facts.colours else ''}."]
    else:
        colours = f", mostly {_listed(facts.colours[:3])}" if facts.colours else ""
        said = [f"{facts.kind.capitalize()}, {size}{colours}."]
    for code in facts.codes:
        said.append(f"A code holds: {code}")
    if facts.lines:
        marked = [
            line if is_reliable(line) else line.model_copy(update={"text": f"{line.text} (?)"}) for line in facts.lines
        ]
        return " ".join(said) + f" It reads:\n{as_text(marked)}"
    return " ".join(said) + " No text was found in it."


def _answer(question: str, facts: list[PictureFacts], embeddings: Embeddings | None) -> str | None:
    """The row that answers, with the one below it where a label stands above its value; None when none is clear."""
    found = [row for picture in facts for row in rows(picture.lines)]
    texts = ["  ".join(line.text for line in row) for row in found]
    if not texts:
        return None
    asked = content_words(question)
    shares = [coverage(asked, text) for text in texts]
    scores = list(shares)
    if embeddings is not None:
        from agents.extractive.vectors import embed

        vectors = embed(embeddings, [question, *texts])
        cosines = (vectors[1:] @ vectors[0]).tolist()
        scores = [cosine + 0.3 * share for cosine, share in zip(cosines, shares, strict=True)]
        best = max(range(len(texts)), key=scores.__getitem__)
        clear = cosines[best] >= _ENOUGH_COSINE or shares[best] >= _ENOUGH_WORDS
    else:
        best = max(range(len(texts)), key=scores.__getitem__)
        clear = shares[best] >= _ENOUGH_WORDS
    if not clear:
        return None
    return f"To the question, the picture says: {_with_value(texts, found, best)}"


def _with_value(texts: list[str], found: list[list[TextLine]], best: int) -> str:
    label_only = len(found[best]) == 1 and texts[best].rstrip().endswith(":")
    return f"{texts[best]} {texts[best + 1]}" if label_only and best + 1 < len(texts) else texts[best]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
