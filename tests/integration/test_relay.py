"""A relay in a process of its own on each node: killed, started again, and ended well."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from energy_chain.chain.accounts import development_accounts
from energy_chain.signing import Kind, OrderDomain, OrderTerms, sign
from tests.integration.machines import Command, Machine
from tests.integration.nodes import Node, block_time, free_port

DAY = 86_400
"""The period, which no machine is too slow for."""
LONGEST = 30.0


def signed_order(
    meter: int, kind: Kind, energy: int, period: int, domain: OrderDomain
) -> dict[str, Any]:
    terms = OrderTerms(kind, energy, period, (period + 1) * DAY)
    key = bytes(development_accounts(meter + 1)[meter].key)
    return {
        "kind": kind.name.lower(),
        "energy_wh": energy,
        "limit_price": 0,
        "period": period,
        "deadline": terms.deadline,
        "signature": sign(terms, domain, key).signature,
        "chain_id": domain.chain_id,
        "contract": domain.contract,
    }


def until(machine: Machine, id: str, state: str, url: str) -> dict[str, Any]:
    """What became of an order, once it is in a state."""
    deadline = time.monotonic() + LONGEST
    while True:
        told: dict[str, Any] = machine.json("relay", "status", id, "--url", url)
        if told["state"] == state:
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_a_relay_that_was_killed_goes_on_where_it_was(ganache: Node, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    machine.write(
        "energy-chain.toml", f'network = "here"\n[networks.here]\nurl = "{ganache.url}"\n'
    )
    market = machine.json("deploy", "--period", "24h")
    machine.json("register", "dev3", "dev4")
    domain = OrderDomain(ganache.chain_id, market["address"])
    period = block_time(ganache.url) // DAY
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def start(seconds: float) -> Command:
        return machine.start(
            *("relay", "serve", "--port", port, "--batch-seconds", seconds, "--json")
        )

    def give(meter: int, kind: Kind, energy: int) -> str:
        order = signed_order(meter, kind, energy, period, domain)
        machine.write("order.json", json.dumps(order))
        return str(machine.json("relay", "post", "order.json", "--url", url)["id"])

    with start(3_600) as first:
        assert first.json()["serving"]["url"] == url
        offer = give(3, Kind.REQUEST, 1_500)
        need = give(4, Kind.RELEASE, 900)
        assert give(4, Kind.RELEASE, 900) == need
    # Leaving the context has killed it: the orders are in the store, and nowhere else.
    with start(0.1) as second:
        assert second.json()["serving"]["url"] == url
        assert second.json()["posted"] == 2
        assert until(machine, need, "on chain", url)["counter"] == 0
        machine.json("aggregator", "run", "--once")
        told = until(machine, need, "matched", url)
        assert told["matched_wh"] == 900
        assert until(machine, offer, "on chain", url)["matches"] == [
            {"index": 0, "energy_wh": 900, "partner": told["meter"]}
        ]
        assert second.end() == []
    verdict = machine.json("audit")
    assert verdict["clean"]
    assert verdict["matches"] == 1
