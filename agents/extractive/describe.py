"""Pictures without a vision model: what was measured, and the text that was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.checks.pictures import fit_alt_text
from agents.checks.words import content_words
from agents.contract import (
    FIELDS,
    Chunk,
    DescribeRequest,
    DescriptionResult,
    PictureFields,
    PictureText,
    Progress,
)
from agents.describe import by_rules, fields_text
from agents.extractive.evidence import coverage
from agents.pictures import Keep, Looked, Looking
from agents.runnable import as_runnable
from tools.pictures import PictureLimits
from tools.read_image_text import as_text, is_reliable, rows
from tools.types import PictureFacts, TextLine

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.runnables import Runnable

NO_MODEL = "No generative model was used: the text was read and the rest measured, nothing was interpreted."
UNSURE = "Lines marked (?) were read with doubt."
_NEEDS_EYES = (
    "The text in the picture does not answer the question. What a picture shows needs a vision model: "
    "`phiq models pull phi-3.5-vision`, then `--model onnx:phi-3.5-vision`; or `ollama pull llava`, then "
    "`--model ollama:llava`."
)
_ENOUGH_WORDS = 0.6
_ENOUGH_COSINE = 0.5


def build_describe(
    limits: PictureLimits | None = None, embeddings: Embeddings | None = None, keep: Keep | None = None
) -> Runnable[DescribeRequest, Chunk]:
    """A runnable that says what can be known of pictures without a model that sees.

    Args:
        limits: What a picture may be at most.
        embeddings: Finds the line that answers a question by its meaning; without them by its words only.
        keep: Puts masked pictures into the content store.

    The stream raises:
        ImageUnreadable, ImageTooLarge: naming the first picture that can't be decoded.
    """

    def steps(request: DescribeRequest) -> Iterator[Chunk]:
        yield from _describe(request, Looking(request, limits or PictureLimits(), keep, needs_text=True), embeddings)

    return as_runnable(steps, "extractive_describe")


def _describe(request: DescribeRequest, looking: Looking, embeddings: Embeddings | None) -> Iterator[Chunk]:
    result = DescriptionResult()
    for step in looking.run():
        if not isinstance(step, Progress):
            yield _tell(request, step, result, len(looking.looked), looking.total)
    facts = looking.facts
    notes = [*looking.notes, NO_MODEL]
    if any(not is_reliable(line) for found in facts for line in found.lines):
        notes.append(UNSURE)
    if request.language:
        notes.append("The text stands as it is in the picture: writing in another language needs a generative model.")
    if request.question:
        answer = _answer(request.question, facts, embeddings)
        if answer is None:
            notes.append(_NEEDS_EYES)
        else:
            delta = f"\n\n{answer}"
            result.text += delta
            yield Chunk(delta=delta)
    more = {"facts": facts, "texts": looking.texts(), "masked": list(looking.masked), "notes": notes}
    yield Chunk(result=result.model_copy(update=more))


def _tell(request: DescribeRequest, one: Looked, result: DescriptionResult, number: int, total: int) -> Chunk:
    """What is said of one picture, in the form that was asked for."""
    form = request.form
    if form == "alt_text":
        alt = fit_alt_text(alt_of(one.facts))
        result.descriptions.append(PictureText(name=one.name, text=alt.text, shortened=alt.shortened))
        said = alt.text
    elif form in FIELDS:
        values = by_rules(one, form)
        result.fields.append(PictureFields(name=one.name, values=values))
        said = fields_text(values, form)
    else:
        said = (f"{number}. {one.name}: " if total > 1 else "") + describe_facts(one.facts)
    between = "\n" if form == "alt_text" or form in FIELDS else "\n\n"
    delta = f"{between}{said}" if result.text else said
    result.text += delta
    return Chunk(delta=delta, progress=Progress(done=number, total=total, note=one.name))


def alt_of(facts: PictureFacts) -> str:
    """An alt text from what was measured: the kind, and the text as far as it goes."""
    read = " ".join(" ".join(line.text for line in row) for row in rows(facts.lines) if is_reliable(row[0]))
    if read:
        return f"{facts.kind.capitalize()} that reads: {read}"
    if facts.codes:
        return f"{facts.kind.capitalize()} with a code: {facts.codes[0]}"
    colours = f", mostly {_listed(facts.colours[:2])}" if facts.colours else ""
    return f"{facts.kind.capitalize()} picture without text{colours}"


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
