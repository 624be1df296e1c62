"""What the ledger and the workers know, as Prometheus' series. Read anew for each scrape; nothing is kept here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from workers.ledger import Ledger
from workers.sight import counts
from workers.sight.histogram import BOUNDS
from workers.sight.stats import now

_COUNTERS = (
    ("jobs", "phiq_jobs", "Jobs that ended, by state.", ("kind", "state", "model")),
    ("attempts", "phiq_attempts", "Attempts that ended; lost: their worker fell silent.", ("outcome",)),
    ("tokens", "phiq_tokens", "Tokens of jobs that succeeded: in (prompts) and out.", ("direction", "model")),
    ("cache", "phiq_cache_hits", "Tokens or documents that need not be worked on again.", ("what",)),
    (
        "hosts",
        "phiq_model_hosts",
        "Processes of models: started, joined, left, lost, replaced, unloaded.",
        ("event", "model"),
    ),
    ("workers", "phiq_workers", "Workers that were started.", ("event",)),
    ("deaths", "phiq_attempt_deaths", "Attempts whose worker died.", ()),
)
_HISTOGRAMS = (
    ("wait", "phiq_job_wait_seconds", "From when a job could start to its first start.", ("kind", "lane")),
    ("run", "phiq_attempt_run_seconds", "How long attempts ran.", ("kind", "model")),
    ("first", "phiq_job_first_text_seconds", "From when a job could start to its first text.", ("kind", "model")),
)
_NOW = (
    ("slots", "phiq_slots", "Jobs that all workers together can run at once."),
    ("busy", "phiq_slots_busy", "Jobs they run."),
    ("workers", "phiq_workers_alive", "Workers that are alive."),
    ("delayed", "phiq_jobs_delayed", "Jobs put aside until later, retries among them."),
    ("dead_letters", "phiq_dead_letters", "Dead letters kept."),
)
_OF_QUEUES = (
    ("waiting", "phiq_queue_waiting", "Jobs in line."),
    ("running", "phiq_queue_running", "Jobs that run."),
    ("slots", "phiq_queue_slots", "Slots of the workers that serve the queue; several queues share them."),
    ("paused", "phiq_queue_paused", "1 while it is paused."),
    ("age", "phiq_queue_oldest_age_seconds", "How long the oldest job in line has waited."),
)


class Installation(Collector):
    """A collector over the ledger.

    Args:
        ledger: Of the installation.
        tenants: How many tenants get series of their own, those with the most jobs first.
    """

    def __init__(self, ledger: Ledger, tenants: int = 0) -> None:
        self._ledger = ledger
        self._tenants = tenants

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is, is known when it is collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All series."""
        seen = counts.total(self._ledger.scripts)
        for name, metric, text, labels in _COUNTERS:
            yield _counter(seen, name, metric, text, labels)
        for name, metric, text, labels in _HISTOGRAMS:
            yield _histogram(seen, name, metric, text, labels)
        current = now(self._ledger)
        for field, metric, text in _NOW:
            yield GaugeMetricFamily(metric, text, value=current[field])
        yield self._models()
        yield from self._queues()
        if self._tenants:
            yield self._of_tenants()

    def _models(self) -> Metric:
        text = "Workers that have a model at hand: own (a copy in memory) or joined (another worker's there)."
        family = GaugeMetricFamily("phiq_model_workers", text, labels=("model", "machine", "how"))
        found: Counter[tuple[str, str, str]] = Counter()
        for worker in self._ledger.workers():
            found.update((uri, worker.machine, "joined" if uri in worker.joined else "own") for uri in worker.hosts)
        for labels, amount in sorted(found.items()):
            family.add_metric(labels, amount)
        return family

    def _queues(self) -> Iterator[Metric]:
        found = self._ledger.queues()
        for field, metric, text in _OF_QUEUES:
            family = GaugeMetricFamily(metric, text, labels=("queue",))
            for queue in found:
                age = queue.oldest_age if queue.waiting else 0.0
                family.add_metric((queue.name,), float(age if field == "age" else getattr(queue, field)))
            yield family

    def _of_tenants(self) -> Metric:
        family = GaugeMetricFamily("phiq_tenant_jobs", "Jobs of a tenant.", labels=("tenant", "state"))
        ordered = sorted(self._ledger.tenants(), key=lambda one: -(one.queued + one.running))
        for one in ordered[: self._tenants]:
            family.add_metric((one.name, "queued"), one.queued)
            family.add_metric((one.name, "running"), one.running)
        # No tenant's name can begin like that.
        others = ordered[self._tenants :]
        if others:
            family.add_metric(("_other", "queued"), sum(one.queued for one in others))
            family.add_metric(("_other", "running"), sum(one.running for one in others))
        return family


def _counter(seen: Mapping[str, int], name: str, metric: str, text: str, labels: Sequence[str]) -> Metric:
    family = CounterMetricFamily(metric, text, labels=labels)
    for values, amount in counts.matching(seen, name):
        if len(values) < len(labels):
            values = [*values, *[""] * (len(labels) - len(values))]
        family.add_metric(values[: len(labels)], amount)
    return family


def _histogram(seen: Mapping[str, int], name: str, metric: str, text: str, labels: Sequence[str]) -> Metric:
    family = HistogramMetricFamily(metric, text, labels=labels)
    for values, times in sorted(counts.times(seen, name).items()):
        passed, buckets = 0, []
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], times.buckets, strict=True):
            passed += count
            buckets.append((bound, float(passed)))
        family.add_metric(values, buckets, times.sum)
    return family
