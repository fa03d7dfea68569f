"""A relay is asked while the way to its node fails in each of the ways there are.

Whoever gives it an order is told that it is accepted, or to try again later: never that the
relay itself has a fault, after which no home would try again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi.testclient import TestClient

from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.relay.app import create_app
from energy_chain.relay.service import Relay
from energy_chain.signing import Kind as OrderKind
from energy_chain.signing import OrderDocument, OrderTerms, sign
from tests.faults.kinds import CHAIN, KINDS
from tests.faults.market import AGGREGATOR, KEY_OF, METERS, deploy, sender_at
from tests.faults.nodes import FaultyNode
from tests.faults.proxy import Kind, Proxy

DAY = 86_400
AT_ONCE = 15
READ_KINDS = [kind for kind in KINDS if kind.methods is None or kind.methods & CHAIN]


def answers(kind: Kind, number: int, node: FaultyNode, market: ContractLedger, file: Path) -> str:
    """What a relay says of an order during a fault."""
    with Proxy(node.url) as proxy:
        sender = sender_at(proxy.url, AGGREGATOR)
        here = ContractLedger(sender, market.address, AGGREGATOR, market.first_block)
        relay = Relay(here, file)
        try:
            domain = relay.door.domain
            period = here.latest()[1] // DAY
            terms = OrderTerms(OrderKind.REQUEST, 1_000 + number, period, (period + 1) * DAY)
            meter = METERS[number]
            order = OrderDocument(sign(terms, domain, bytes(KEY_OF[meter].key)), domain, meter)
            client = TestClient(create_app(relay), raise_server_exceptions=False)
            with proxy.failing(kind):
                told = client.post("/orders", json=order.to_json())
            assert proxy.met
            return f"{told.status_code} {told.json().get('error', '')}"
        finally:
            relay.close()


def test_a_relay_never_has_a_fault_itself_whatever_the_way_to_its_node_does(
    node: FaultyNode, tmp_path: Path
) -> None:
    market = deploy(node, DAY)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = [
            pool.submit(answers, kind, number, node, market, tmp_path / f"{kind.name}.sqlite")
            for number, kind in enumerate(READ_KINDS)
        ]
        found = {kind.name: each.result() for kind, each in zip(READ_KINDS, told, strict=True)}
    assert {status[:3] for status in found.values()} == {"202", "503"}, found
