"""What the server knows besides the record: whether the node answers, and what the audit said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from energy_chain.market import Address
from energy_chain.web.schemas import Audit, Node
from energy_chain.web.times import iso

NOT_FOLLOWED = Node(reachable=None, since=None, said="not followed: the record is shown as it is")
NOT_AUDITED = Audit(
    state="not yet",
    as_of_block=None,
    checked_at=None,
    said="energy-chain audit --record proves the record",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one market."""

    node: Node = NOT_FOLLOWED
    audit: Audit = NOT_AUDITED


class State:
    """Of all markets, for several threads."""

    def __init__(
        self,
        publish: Callable[[str, dict[str, Any]], None] = lambda *_: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Args: `publish` hears of each change: `node` or `audit`, and what it is now."""
        self._publish, self._now = publish, now
        self._standing: dict[Address, Standing] = {}
        self._lock = Lock()

    def of(self, market: Address) -> Standing:
        """How it is with a market."""
        with self._lock:
            return self._standing.get(market, Standing())

    def all(self) -> dict[Address, Standing]:
        """How it is with every market that there is something to say of."""
        with self._lock:
            return dict(self._standing)

    def node(self, market: Address, reachable: bool, said: str = "") -> None:
        """The node answers or does not; `said` is what is wrong."""
        before = self.of(market).node
        if (before.reachable, before.said) == (reachable, said):
            return
        since = before.since if before.reachable == reachable else self._time()
        node = Node(reachable=reachable, since=since, said=said)
        with self._lock:
            standing = self._standing.get(market, Standing())
            self._standing[market] = Standing(node, standing.audit)
        self._publish("node", {"address": market, **node.model_dump()})

    def audited(self, market: Address, clean: bool, block: int, said: str) -> None:
        """An audit has ended."""
        state = "clean" if clean else "difference"
        self._audit(
            market,
            Audit.model_validate(
                {"state": state, "as_of_block": block, "checked_at": self._time(), "said": said}
            ),
        )

    def auditing(self, market: Address) -> None:
        """An audit has begun; what the last one said holds until it ends."""
        if self.of(market).audit.checked_at is None:
            self._audit(market, Audit(state="running", as_of_block=None, checked_at=None, said=""))

    def not_audited(self, market: Address, said: str) -> None:
        """There can be no audit now, for a reason."""
        self._audit(
            market, Audit(state="not yet", as_of_block=None, checked_at=self._time(), said=said)
        )

    def _audit(self, market: Address, audit: Audit) -> None:
        with self._lock:
            standing = self._standing.get(market, Standing())
            self._standing[market] = Standing(standing.node, audit)
        self._publish("audit", {"address": market, **audit.model_dump()})

    def _time(self) -> str:
        return iso(int(self._now().timestamp()))
