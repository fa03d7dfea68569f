"""A relay on real nodes: killed, started again, ended well, and on a chain that is reorganised."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.sender import TransactionSender
from energy_chain.relay.schemas import SignedOrderIn
from energy_chain.relay.service import Relay
from energy_chain.relay.settings import RelaySettings
from energy_chain.signing import Kind, OrderDomain, OrderTerms, sign
from tests.integration.machines import Command, Machine
from tests.integration.nodes import Node, ask, block_time, free_port

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


def test_orders_whose_blocks_are_reorganised_are_posted_and_matched_again(
    anvil: Node, tmp_path: Path
) -> None:
    accounts = development_accounts(5)
    owner, relayer, operator, *meters = (str(account.address) for account in accounts)
    sender = TransactionSender(Connection.open(network_at(anvil.url)), accounts)
    market = ContractLedger.deploy(sender, owner, relayer, operator, DAY).as_account(relayer)
    market.as_account(operator).register_meters(meters)
    ask(anvil.url, "anvil_mine", "0x5")
    period = block_time(anvil.url) // DAY
    relay = Relay(market, tmp_path / "relay.sqlite", RelaySettings(batch_seconds=0.001))

    def give(meter: int, kind: Kind, energy: int) -> str:
        order = signed_order(meter, kind, energy, period, market.order_domain())
        return relay.door.admit(SignedOrderIn(**order))[0].id

    def told(id: str) -> tuple[str, int, int | None]:
        found = relay.receipt(id)
        assert found
        return found.state, found.matched_wh, found.block

    try:
        offer, need = give(3, Kind.REQUEST, 1_500), give(4, Kind.RELEASE, 900)
        (done,) = relay.batcher.step()
        market.match_pending(10)
        relay.batcher.step()
        assert told(offer) == ("on chain", 900, done.block)
        assert told(need) == ("matched", 900, done.block)

        ask(anvil.url, "anvil_reorg", 2, [])
        assert market.match_counter() == market.request_counter() == 0
        assert relay.batcher.step() == []
        assert told(offer) == told(need) == ("sent", 0, None)
        # The outbox sends both transactions again: one of the relay, and one that matched.
        deadline = time.monotonic() + LONGEST
        while told(need)[0] != "matched":
            assert time.monotonic() < deadline
            sender.tend()
            assert relay.batcher.step() == []
        assert told(need)[2] != done.block
        assert told(offer)[:2] == ("on chain", 900)
        assert (market.request_counter(), market.match_counter()) == (1, 1)
        assert sender.tend() == relay.health().under_way == 0
    finally:
        relay.close()
