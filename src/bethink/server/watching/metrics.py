"""What Prometheus reads at `/metrics`: requests, tokens, waiting, engines. One registry a server, none for the process.

Labels have few values: names of models this server knows, dialects, statuses. Who asked is the ledger's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bethink.server.record import Record
from bethink.server.running.pool import Change
from bethink.server.running.service import Service

FIRST_TOKEN_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TOTAL_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)


@runtime_checkable
class Supervised(Protocol):
    """An engine whose process is started again when it dies."""

    @property
    def n_restarts(self) -> int: ...


@dataclass(slots=True)
class Metrics:
    """Counts what it is told; what changes by itself is read when it is asked for."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    tokens: Counter = field(init=False)
    first_token: Histogram = field(init=False)
    total: Histogram = field(init=False)
    waited: Histogram = field(init=False)
    deaths: Counter = field(init=False)

    def __post_init__(self) -> None:
        kept = self.registry
        self.requests = Counter(
            "bethink_requests", "HTTP requests", ["dialect", "model", "status", "outcome"], registry=kept
        )
        self.tokens = Counter("bethink_tokens", "Tokens by what they were for", ["model", "kind"], registry=kept)
        self.first_token = Histogram(
            "bethink_first_token_seconds", "Until the first token", ["model"], buckets=FIRST_TOKEN_S, registry=kept
        )
        self.total = Histogram(
            "bethink_request_seconds", "Until a run was settled", ["model"], buckets=TOTAL_S, registry=kept
        )
        self.waited = Histogram(
            "bethink_wait_seconds", "Until a run began", ["model"], buckets=FIRST_TOKEN_S, registry=kept
        )
        self.deaths = Counter(
            "bethink_models_taken_out", "Engines that died and were not started again", ["model"], registry=kept
        )

    def over(self, record: Record) -> None:
        """One HTTP request is over."""
        self.requests.labels(record.dialect or "none", record.model, str(record.status), record.outcome).inc()

    def settled(self, record: Record) -> None:
        """One run is over, over HTTP or not."""
        usage, model = record.usage, record.model
        if usage is not None:
            for kind in ("prompt", "thinking", "answer", "probe", "discarded"):
                self.tokens.labels(model, kind).inc(getattr(usage, f"{kind}_tokens"))
        if record.waited_s is not None:
            self.waited.labels(model).observe(record.waited_s)
        if record.first_token_s is not None:
            self.first_token.labels(model).observe(record.first_token_s)
        self.total.labels(model).observe(record.seconds())

    def changed(self, model: str, change: Change) -> None:
        if change == "died":
            self.deaths.labels(model).inc()

    def watch(self, service: Service) -> None:
        self.registry.register(_Now(service))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Now(Collector):
    """What holds at the moment of asking."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gone: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    def collect(self) -> Iterable[Metric]:
        yield from self._queues()
        yield from self._models()

    def _queues(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("bethink_running", "Requests that run", labels=["model"])
        waiting = GaugeMetricFamily("bethink_waiting", "Requests that wait for their turn", labels=["model"])
        for name, queue in self._service.admission.queues.items():
            running.add_metric([name], queue.n_running)
            waiting.add_metric([name], queue.n_waiting)
        yield running
        yield waiting
        yield GaugeMetricFamily("bethink_under_way", "Requests that run, load or wait", value=self._service.n_running)

    def _models(self) -> Iterator[Metric]:
        loaded = GaugeMetricFamily("bethink_model_loaded", "Models in memory", labels=["model", "engine"])
        held = GaugeMetricFamily("bethink_model_held", "Requests that hold a model", labels=["model"])
        kv = GaugeMetricFamily("bethink_kv_tokens", "Tokens that the cache holds", labels=["model"])
        context = GaugeMetricFamily("bethink_context_tokens", "The longest context", labels=["model"])
        restarts = CounterMetricFamily("bethink_engine_restarts", "Engines started again", labels=["model"])
        for name, entry in self._service.pool.loaded.items():
            info = entry.model.engine.info
            loaded.add_metric([name, info.name], 1)
            held.add_metric([name], entry.n_held)
            kv.add_metric([name], info.kv_tokens)
            context.add_metric([name], info.context_length)
            self._note_restarts(name, id(entry), entry.model.engine)
        for name, (_, n) in self._seen.items():
            restarts.add_metric([name], self._gone.get(name, 0) + n)
        yield from (loaded, held, kv, context, restarts)

    def _note_restarts(self, name: str, which: int, engine: object) -> None:
        """A counter never falls: an engine that was unloaded keeps its share."""
        n = engine.n_restarts if isinstance(engine, Supervised) else 0
        before = self._seen.get(name)
        if before is not None and before[0] != which:
            self._gone[name] = self._gone.get(name, 0) + before[1]
        self._seen[name] = (which, n)
