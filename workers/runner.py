"""From a job to its chunks: picks the engine and the chain, and fetches what the chain works on.

The only module that knows engines, knowledge and agents together. It knows no queue: the caller owns the job's life.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.contract import (
    Attachment,
    Chunk,
    DescribeRequest,
    EmbedResult,
    IngestResult,
    Moved,
    Picture,
    Progress,
    Result,
    SearchResult,
)
from agents.errors import Interrupted, NeedsModel
from workers.collection_lock import collection_lock
from workers.engines.base import EngineURI
from workers.engines.offers import check_languages, check_offers
from workers.engines.route import CANNOT, MOVES, Breakers, Passed, fault, order, parse_route
from workers.errors import OptionUnsupported
from workers.ingest_reports import IngestReports
from workers.jobs import (
    Capability,
    ChatJob,
    CompleteJob,
    DescribeJob,
    EmbedJob,
    GenerationOptions,
    IngestJob,
    Job,
    Lane,
    SearchJob,
    SummarizeJob,
    TranslateJob,
    capability,
)
from workers.resources import Resources
from workers.settings import Settings
from workers.sight import tracing
from workers.standing import Standing

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

    from agents.checkpoints import Checkpoints
    from agents.contract import Site
    from knowledge.types import Retriever
    from tools.pictures import PictureLimits


class Runner:
    """Runs jobs in this process; shared by all threads of a worker.

    Models, the embedder and connections are opened at first use and kept.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._have = Resources(settings)
        self._breakers = Breakers()

    def run(
        self,
        job: Job,
        stop: threading.Event,
        checkpoints: Checkpoints | None = None,
        told: Callable[[Progress], None] | None = None,
    ) -> Iterator[Chunk]:
        """Run a job, yielding chunks; the last one carries the result.

        Args:
            job: The job.
            stop: Ends it.
            checkpoints: What earlier attempts have kept.
            told: Takes its progress while a call waits in an engine's line, and no chunk can come.

        Raises:
            Interrupted: ``stop`` was set.
            PhiqError: whatever keeps the job from being done.
        """
        sees = capability(job, "auto") is Capability.VISION
        named = parse_route(job.model or self._settings.model)
        route = tuple(dict.fromkeys(self._have.chosen(uri, sees=sees) for uri in named))
        if len(route) == 1 or isinstance(job, EmbedJob | SearchJob | IngestJob):
            yield from self._run(job, route[0], stop, checkpoints, (), told)
            return
        passed: list[Passed] = []
        for uri, blocked in order(route, self._breakers):
            if blocked is not None:
                passed.append(Passed(uri, blocked))
                continue
            begun = False
            try:
                for chunk in self._run(job, uri, stop, checkpoints, tuple(passed), told):
                    begun = begun or bool(chunk.delta) or chunk.result is not None
                    if begun:
                        self._breakers.worked(uri)
                    yield chunk
            except MOVES as error:
                self._breakers.failed(uri, error)
                if begun:
                    raise  # text of it was shown: the next attempt begins anew, with another engine
                passed.append(Passed(uri, error))
            except CANNOT as error:
                if not passed:
                    raise
                passed.append(Passed(uri, error))
            else:
                return
            finally:
                self._breakers.left(uri)
        raise fault(passed)

    def _run(
        self,
        job: Job,
        uri: EngineURI,
        stop: threading.Event,
        checkpoints: Checkpoints | None,
        passed: tuple[Passed, ...],
        told: Callable[[Progress], None] | None,
    ) -> Iterator[Chunk]:
        """Run a job on one engine; ``passed`` are those that should have done it."""
        passed = tuple(one for one in passed if one.uri != uri)  # when all were passed over the first is asked anyway
        notes = [
            f"{one.uri} was passed over ({one.error.code}: {one.error.message.rstrip('.')}); {uri} did this instead."
            for one in passed
        ]
        if passed and uri.scheme == "extractive":
            # They say how to generate; what stands in for a model generates nothing.
            job = job.model_copy(update={"options": GenerationOptions()})
        for chunk in self._chunks(job, uri, stop, checkpoints, notes, told):
            if stop.is_set():
                raise Interrupted
            if chunk.result is not None:
                signed = self._signed(chunk.result, job, uri)
                moved = [Moved(model=str(one.uri), code=one.error.code, message=one.error.message) for one in passed]
                update = {"notes": [*signed.notes, *notes], "moved": moved}
                chunk = chunk.model_copy(update={"result": signed.model_copy(update=update)})
            yield chunk
        if stop.is_set():
            raise Interrupted

    def hosts(self) -> list[str]:
        """The URIs of the models this process holds in memory."""
        return [uri for uri, status in self._have.engine_states().items() if status.state == "ready"]

    def joined(self) -> list[str]:
        """The URIs of those among them that another worker loaded."""
        return [uri for uri, status in self._have.engine_states().items() if status.state == "ready" and status.joined]

    def loading(self) -> list[str]:
        """The URIs of the models this process is loading."""
        return [uri for uri, status in self._have.engine_states().items() if status.state == "loading"]

    def close(self) -> None:
        """End the engines and connections; safe to call twice."""
        self._have.close()

    def _chunks(
        self,
        job: Job,
        uri: EngineURI,
        stop: threading.Event,
        checkpoints: Checkpoints | None,
        notes: list[str],
        told: Callable[[Progress], None] | None,
    ) -> Iterator[Chunk]:
        match job:
            case EmbedJob():
                yield self._embed(job)
            case SearchJob():
                with tracing.span("retrieve", facts={"phiq.top_k": job.input.top_k}) as span:
                    store = self._have.store(job.tenant)
                    found = store.find(job.input.collection, job.input.query, job.input.top_k, job.input.filters)
                    span.set({"phiq.passages": len(found.passages)})
                yield Chunk(result=SearchResult(passages=found.passages, notes=found.notes))
            case IngestJob():
                yield from self._ingest(job, stop, checkpoints)
            case _:
                with tracing.span(f"chain {job.kind}"):
                    model, standing = self._model(job, uri, stop), Standing(uri, told)
                    if model is not None and hasattr(model, "told"):
                        model.told = standing.told
                    chain, value = self._chain(job, uri, model, checkpoints, notes)
                    if self._have.loads_first(uri):
                        yield Chunk(progress=Progress(done=0, note=f"loading {uri}"))
                    elif line := self._have.line(uri, batch=job.lane is Lane.BATCH):
                        yield Chunk(progress=Progress(done=0, note=f"waiting for {uri}: {line}"))
                    for chunk in chain.stream(value):
                        standing.see(chunk)
                        if chunk.result is not None:
                            # Only now: a server says what it ran when it has run.
                            digest = self._have.digest(uri) or getattr(model, "digest", "")
                            chunk = chunk.model_copy(
                                update={"result": chunk.result.model_copy(update={"digest": digest})}
                            )
                        yield chunk

    def _model(self, job: Job, uri: EngineURI, stop: threading.Event) -> BaseChatModel | None:
        """The chat model for a job; None where no model is run."""
        if uri.scheme == "extractive":
            return None
        if isinstance(job, TranslateJob):
            check_languages(job.input, uri)
        model = self._have.registry.get(str(uri)).chat_model(job.options, stop, batch=job.lane is Lane.BATCH)
        if tracing.on():
            from workers.sight.chains import traced_model

            traced_model(model, str(uri), tracing.current())
        return model

    def _chain(
        self,
        job: Job,
        uri: EngineURI,
        model: BaseChatModel | None,
        checkpoints: Checkpoints | None,
        notes: list[str],
    ) -> tuple[Runnable[Any, Chunk], Any]:
        """The chain for a job and its input; imports only the one that is needed."""
        if model is None:
            return self._extractive(job, notes)
        match job:
            case ChatJob() if job.input.verbatim:
                from agents.converse import build_converse

                check_offers(model.profile, job.input, uri)
                return build_converse(model, self._fetch, self._picture_limits(), checkpoints), job.input
            case ChatJob():
                from agents.chat import ChatConfig, build_chat

                collection = job.input.collection
                if collection is None:
                    return build_chat(model, None, checkpoints=checkpoints), job.input
                config = ChatConfig()
                if own := self._have.calibration(job.tenant, collection):
                    config = replace(config, calibration=own)
                retriever = self._retriever(job, collection, notes)
                return build_chat(model, retriever, config, checkpoints), job.input
            case SummarizeJob():
                from agents.summarize import build_summarize

                return build_summarize(model, checkpoints), job.input
            case TranslateJob():
                from agents.translate import build_translate

                return build_translate(model, checkpoints), job.input
            case DescribeJob():
                from agents.describe import build_describe

                return build_describe(
                    model, self._picture_limits(), checkpoints, self._have.content.put
                ), self._pictures(job)
            case CompleteJob():
                from agents.complete import build_complete

                return build_complete(model, checkpoints), job.input
        raise AssertionError(job.kind)

    def _extractive(self, job: Job, notes: list[str]) -> tuple[Runnable[Any, Chunk], Any]:
        asked = job.options.model_dump(exclude_defaults=True)
        if asked and job.kind not in ("translate", "complete"):
            raise OptionUnsupported(
                f"The extractive engine generates nothing, so it can't honour {', '.join(asked)}.",
                hint="Leave it out, or name a generative model: phiq models list",
                subject=next(iter(asked)),
            )
        match job:
            case ChatJob():
                from agents.extractive.chat import ChatConfig, build_chat

                if job.input.collection is None:
                    raise NeedsModel(
                        "The extractive engine answers from documents; a chat without them needs a generative model.",
                        hint="Name a collection, or a model: phiq models list",
                    )
                retriever = self._retriever(job, job.input.collection, notes)
                own = self._have.calibration(job.tenant, job.input.collection)
                config = ChatConfig(calibration=own) if own else None
                return build_chat(retriever, self._have.embedder, config), job.input
            case SummarizeJob():
                from agents.extractive.summarize import build_summarize

                return build_summarize(self._have.embedder), job.input
            case TranslateJob():
                from agents.extractive.translate import build_translate

                return build_translate(), job.input
            case DescribeJob():
                from agents.extractive.describe import build_describe

                return build_describe(
                    self._picture_limits(), self._have.embedder, self._have.content.put
                ), self._pictures(job)
            case CompleteJob():
                from agents.extractive.complete import build_complete

                return build_complete(), job.input
        raise AssertionError(job.kind)

    def _retriever(self, job: ChatJob, collection: str, notes: list[str]) -> Retriever:
        """What finds a chat's passages; ``notes`` gathers what people must know of the searches."""
        retriever = self._have.store(job.tenant).retriever(collection, job.input.filters, notes)
        if tracing.on():
            from workers.sight.chains import TracedRetriever

            return TracedRetriever(retriever, tracing.current())
        return retriever

    def _embed(self, job: EmbedJob) -> Chunk:
        with tracing.span("embed", facts={"phiq.texts": len(job.input.texts)}):
            vectors = self._have.embedder.embed_documents(list(job.input.texts))
        return Chunk(result=EmbedResult(vectors=vectors, dimensions=self._have.embedder.dimensions))

    def _ingest(self, job: IngestJob, stop: threading.Event, checkpoints: Checkpoints | None) -> Iterator[Chunk]:
        from knowledge.load.limits import LoadLimits
        from knowledge.sync import LoadedFile, Step, ingest_steps
        from workers.reading import helpers

        asked = job.input
        if asked.site is not None:
            yield from self._ingest_site(job, asked.site, stop)
            return
        if asked.reembed:
            yield from self._reembed(job, stop)
            return
        so_far = IngestReports(asked.files, checkpoints)
        files = (LoadedFile(file.source, file.name, partial(self._have.content.get, file.ref)) for file in so_far.todo)
        key = f"{self._settings.key_prefix}:writer:{job.tenant}:{asked.collection}"
        with collection_lock(self._have.redis, key, stop) as lost:
            for step in ingest_steps(
                self._have.store(job.tenant),
                asked.collection,
                files,
                limits=LoadLimits(max_bytes=self._settings.max_file_bytes),
                prune_under=asked.prune_under,
                keep={*asked.keep, *so_far.done},
                should_stop=lambda: stop.is_set() or lost.is_set(),
                subject=job.subject or "",
                helpers=helpers(),
            ):
                note = step.source
                if isinstance(step, Step):
                    note = f"{step.source}: {step.done} of {step.total} passages"
                else:
                    so_far.add(step)
                done = sum(seen.status != "deleted" for seen in so_far.reports)
                yield Chunk(progress=Progress(done=done, total=len(asked.files), note=note))
        yield Chunk(result=IngestResult(collection=asked.collection, files=so_far.reports))

    def _reembed(self, job: IngestJob, stop: threading.Event) -> Iterator[Chunk]:
        from workers.reembed import reembed

        key = f"{self._settings.key_prefix}:writer:{job.tenant}:{job.input.collection}"
        lock = partial(collection_lock, self._have.redis, key, stop)
        yield from reembed(self._have.store(job.tenant), job.input.collection, lock, stop)

    def _ingest_site(self, job: IngestJob, site: Site, stop: threading.Event) -> Iterator[Chunk]:
        from knowledge.load.limits import LoadLimits
        from workers.site_ingest import SiteIngest

        key = f"{self._settings.key_prefix}:writer:{job.tenant}:{job.input.collection}"
        yield from SiteIngest(
            self._settings,
            self._have.store(job.tenant),
            job.input.collection,
            site,
            lock=partial(collection_lock, self._have.redis, key, stop),
            stop=stop,
            subject=job.subject or "",
            limits=LoadLimits(max_bytes=self._settings.max_file_bytes),
        ).run()

    def _pictures(self, job: DescribeJob) -> DescribeRequest:
        pictures = tuple(Picture(name=image.name, data=self._have.content.get(image.ref)) for image in job.input.images)
        asked = job.input.model_dump(exclude={"images"})
        return DescribeRequest(pictures=pictures, **asked)

    def _fetch(self, image: Attachment) -> bytes:
        return self._have.content.get(image.ref)

    def _picture_limits(self) -> PictureLimits:
        from tools.pictures import PictureLimits

        return PictureLimits(max_bytes=self._settings.max_file_bytes, max_pixels=self._settings.max_image_pixels)

    def _signed(self, result: Result, job: Job, uri: EngineURI) -> Result:
        """The result with who made it: the embedder for what needs no model, else the engine."""
        if job.kind in ("embed", "search", "ingest"):
            return result.model_copy(update={"engine": "embedder", "model": self._have.embedder.name})
        return result.model_copy(update={"engine": uri.scheme, "model": uri.name})
