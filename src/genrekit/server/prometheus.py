"""The server's figures for Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from genrekit.server.service import Service

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Figures:
    """Counts requests by route and status, and shows the workers and the spool."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "genrekit_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "genrekit_request_seconds",
            "From the head of a request to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_State(service))
        ProcessCollector(registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class _State(Collector):
    """Looks at the service when it is asked."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        desk, spool = self._service.desk, self._service.spool
        yield GaugeMetricFamily(
            "genrekit_files_open", "Files that wait for a worker or are heard.", desk.n_open
        )
        yield GaugeMetricFamily("genrekit_workers_ready", "Workers that started.", desk.n_ready)
        yield CounterMetricFamily(
            "genrekit_workers_killed", "Workers that died at work or were stopped.", desk.n_killed
        )
        yield GaugeMetricFamily("genrekit_spool_bytes", "Uploads on the disk.", spool.n_bytes)
