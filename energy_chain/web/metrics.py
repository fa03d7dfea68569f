"""`/metrics` for Prometheus: how far the record is, what is in it, and how the server answers."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energy_chain.record import ranges
from energy_chain.record.standing import meters_standing, queues
from energy_chain.record.store import Record, market_rows
from energy_chain.record.sums import GWEI
from energy_chain.signing import Kind
from energy_chain.web.live import Hub
from energy_chain.web.state import State

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Bounds of the histogram of answers."""


class Metrics:
    """What a Prometheus server is told."""

    def __init__(self, record: Record, state: State, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_AsItIs(record, state, hub))
        self.answers = Histogram(
            "energy_chain_http_answer_seconds",
            "Time from a request to its answer.",
            ("route", "status"),
            buckets=SECONDS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)


class _AsItIs(Collector):
    """Reads the record each time."""

    def __init__(self, record: Record, state: State, hub: Hub) -> None:
        self._record, self._state, self._hub = record, state, hub

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on the record."""
        return ()

    def collect(self) -> Iterable[Metric]:
        gauges = {
            "block": "Last block that was read.",
            "block_time_seconds": "Unix time of the last block that was read.",
            "meters": "Meters ever registered.",
            "waiting_wh": "Energy of orders that may still be matched.",
            "node_reachable": "Whether the node answers; absent where it is not followed.",
            "audit_clean": "Whether the last audit of the record was clean; absent before it.",
        }
        counters = {
            "orders": "Orders in the record.",
            "matches": "Matches in the record.",
            "matched_wh": "Energy that was matched.",
            "drawn_wh": "Energy that was confirmed as drawn.",
            "transactions": "Transactions that made the market log something.",
            "gas": "Gas that they used.",
            "cost_gwei": "What they cost.",
        }
        names = {"orders": ["market", "kind"], "waiting_wh": ["market", "kind"]}
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            **{
                name: GaugeMetricFamily(
                    f"energy_chain_{name}", said, labels=names.get(name, ["market"])
                )
                for name, said in gauges.items()
            },
            **{
                name: CounterMetricFamily(
                    f"energy_chain_{name}", said, labels=names.get(name, ["market"])
                )
                for name, said in counters.items()
            },
        }
        with self._record.reading() as connection:
            for market in market_rows(connection):
                of = [market.address]
                whole = ranges.everything(connection, market)
                standing = self._state.of(market.address)
                told: dict[str, float] = {
                    "block": market.cursor_block,
                    "block_time_seconds": market.cursor_time,
                    "meters": len(meters_standing(connection, market)),
                    "matches": whole.matches,
                    "matched_wh": whole.sold,
                    "drawn_wh": whole.drawn,
                    "transactions": whole.transactions,
                    "gas": whole.gas,
                    "cost_gwei": whole.cost / GWEI,
                }
                if standing.node.reachable is not None:
                    told["node_reachable"] = standing.node.reachable
                if standing.audit.state in ("clean", "difference"):
                    told["audit_clean"] = standing.audit.state == "clean"
                for name, value in told.items():
                    families[name].add_metric(of, value)
                for kind, queue in queues(connection, market).items():
                    side = kind.name.lower()
                    families["waiting_wh"].add_metric([*of, side], queue.energy)
                    posted = whole.requests if kind is Kind.REQUEST else whole.releases
                    families["orders"].add_metric([*of, side], posted)
        yield from families.values()
        yield GaugeMetricFamily(
            "energy_chain_listeners", "Who listens to the server-sent events.", len(self._hub)
        )


class Timed:
    """Measures how long each answer takes, by route; what goes on for ever is left out."""

    def __init__(self, app: ASGIApp, metrics: Metrics, left_out: tuple[str, ...]) -> None:
        self._app, self._metrics, self._left_out = app, metrics, left_out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http" or scope["path"] in self._left_out:
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            took = time.perf_counter() - begun
            self._metrics.answers.labels(route, str(status or 500)).observe(took)
