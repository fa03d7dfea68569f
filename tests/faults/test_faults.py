"""A producer posts while the way to its node fails in each of the ways there are.

All kinds at once, each with a producer, a proxy and a client of its own: most of the time
they wait. The fault begins in the middle of the posts; afterwards every order is on the
chain exactly once.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from energy_chain.chain.contract_ledger import ContractLedger
from tests.faults.kinds import KINDS
from tests.faults.market import (
    METERS,
    WATCHDOG,
    Producer,
    Story,
    deploy,
    orders_of,
    sender_at,
)
from tests.faults.nodes import FaultyNode
from tests.faults.proxy import Kind, Proxy

AT_ONCE = 10
"""Producers that post at the same time."""
BEFORE, AFTER = 2, 3
"""Orders before the fault begins, and after it is over."""
FAULT_SECONDS = 1.5
EXPECTED = {"NodeUnreachable", "ReceiptTimeout"}
"""What a producer is told meanwhile, if anything: wait, and call again under the same key."""
ALSO = {
    "wrong_chain": {"WrongChain"},
    # What a node says of a transaction, it is taken at its word for.
    "nonce_too_low_untrue": {"TransactionFailed"},
    "pool_full": {"TransactionFailed"},
    "underpriced": {"TransactionFailed"},
}


@dataclass(frozen=True)
class Outcome:
    """What came of one kind of fault.

    Attributes:
        story: what the producer met.
        recovered: seconds from the end of the fault to the next receipt.
        met: exchanges that the fault happened to.
        on_chain: the orders that the chain has.
    """

    story: Story
    recovered: float
    met: int
    on_chain: list[int]

    def wrong(self, also: set[str]) -> list[str]:
        """What must not be."""
        story = self.story
        return [
            what
            for what, is_so in {
                f"it ended with {story.fault!r}": story.fault,
                "the fault happened to nothing": not self.met,
                f"{story.posted} were posted, the chain has {self.on_chain}": self.on_chain
                != list(range(1, story.posted + 1)),
                f"a call took {story.longest:.1f} s": story.longest > WATCHDOG,
                f"recovery took {self.recovered:.1f} s": self.recovered > WATCHDOG,
                f"it met {dict(story.errors)}": not story.errors.keys() <= EXPECTED | also,
            }.items()
            if is_so
        ]


def survive(kind: Kind, node: FaultyNode, market: ContractLedger, meter: str) -> Outcome:
    """A fault in the middle of the posts of a meter."""
    recovered = float("inf")
    with Proxy(node.url) as proxy:
        producer = Producer(sender_at(proxy.url, meter), market, meter)
        story = producer.story
        try:
            with producer:
                producer.wait_for(BEFORE)
                with proxy.failing(kind):
                    time.sleep(FAULT_SECONDS)
                ended, done = time.monotonic(), story.posted
                producer.wait_for(done + 1)
                recovered = time.monotonic() - ended
                producer.wait_for(done + AFTER)
                producer.end_and_settle()
        except Exception as error:
            story.fault = story.fault or error
    return Outcome(story, recovered, proxy.met, orders_of(market, meter))


def test_every_order_is_on_chain_once_whatever_the_way_to_the_node_does(node: FaultyNode) -> None:
    market = deploy(node)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [
            pool.submit(survive, kind, node, market, meter)
            for kind, meter in zip(KINDS, METERS, strict=False)
        ]
    wrong = []
    for kind, outcome in zip(KINDS, outcomes, strict=True):
        found = outcome.result()
        print(
            f"{node.name:8}{kind.name:24}{found.recovered:6.2f} s{found.story.longest:7.2f} s "
            f"{found.met:5} met {found.story.posted:4} orders {dict(found.story.errors)}"
        )
        wrong += [f"{kind.name}: {what}" for what in found.wrong(ALSO.get(kind.name, set()))]
    assert not wrong
