"""The record of a market on real nodes: killed, reorganised, and the same on each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.sender import TransactionSender
from energy_chain.market import Release, Request
from energy_chain.record.indexer import Indexer
from energy_chain.record.source import ChainSource
from energy_chain.record.store import Record
from energy_chain.record.tables import DERIVED, events, periods, transactions
from tests.integration.machines import Machine
from tests.integration.nodes import Node, ask

DAY = 86_400
"""The period, which no machine is too slow for."""
ACCOUNTS = development_accounts(5)
OWNER, AGGREGATOR, OPERATOR, PRODUCER, CONSUMER = (str(account.address) for account in ACCOUNTS)


def machine_on(node: Node, folder: Path) -> Machine:
    """A machine with a market of two meters on a node."""
    machine = Machine(folder)
    machine.write("energy-chain.toml", f'network = "here"\n[networks.here]\nurl = "{node.url}"\n')
    machine.told("deploy", "--period", "24h")
    machine.told("register", "dev3", "dev4")
    return machine


def trade(machine: Machine) -> None:
    """Two posts and a match of 1 kWh."""
    machine.told("producer", "put", "1kWh", "--account", "dev3")
    machine.told("consumer", "put", "1kWh", "--account", "dev4")
    machine.told("aggregator", "run", "--once")


def test_an_indexer_that_was_killed_goes_on_where_it_was(anvil: Node, tmp_path: Path) -> None:
    machine = machine_on(anvil, tmp_path / "machine")
    follow = ("record", "update", "--follow", "--every", "0.1", "--json")
    with machine.start(*follow) as first:
        assert first.json()["events"] == 5
        trade(machine)
        first.until(lambda told: told["events"] > 0)
    # Leaving the context has killed it, whatever it was doing.
    trade(machine)
    with machine.start(*follow) as second:
        second.until(lambda told: told["block"] == int(ask(anvil.url, "eth_blockNumber"), 16))
        assert second.end() == []
    verdict = machine.json("audit", "--record", "home/record.sqlite")
    assert (verdict["clean"], verdict["against_chain"], verdict["matches"]) == (True, True, 2)
    assert verdict["events"] == 5 + 1 + 2 * 3


def test_what_a_node_has_reorganised_is_undone(anvil: Node, tmp_path: Path) -> None:
    machine = machine_on(anvil, tmp_path / "machine")
    trade(machine)
    machine.told("record", "update")
    ask(anvil.url, "anvil_reorg", 2, [])
    told = machine.json("record", "update")
    assert told["rolled_back"] > 0
    (market,) = machine.json("record", "show")["markets"]
    assert (market["orders"], market["matches"]) == (1, 0)
    trade(machine)
    assert machine.json("record", "update")["rolled_back"] == 0
    verdict = machine.json("audit", "--record", "home/record.sqlite")
    # What the reorganisation lost was sent again before anything else.
    assert (verdict["clean"], verdict["matches"]) == (True, 2)


def indexed(node: Node) -> dict[str, list[tuple[Any, ...]]]:
    """What a record says of the same calls on a node, blocks counted from the deployment."""
    connection = Connection.open(network_at(node.url))
    sender = TransactionSender(connection, ACCOUNTS)
    ledger = ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, DAY)
    operator = ledger.as_account(OPERATOR)
    operator.register_meters([PRODUCER, CONSUMER])
    ledger.as_account(PRODUCER).post_request(PRODUCER, 500)
    operator.post_and_match([Request(1, 40)], [Release(2, 450), Release(2, 60)], 9)
    ledger.as_account(CONSUMER).consume_match(0, 30)
    operator.confirm_matches(0, 3)
    with Record.temporary() as record:
        Indexer(record, ChainSource(ledger)).update()
        found: dict[str, list[tuple[Any, ...]]] = {}
        with record.reading() as rows:
            for table in (transactions, events, *DERIVED):
                # The period is that of the node's clock, a price that of its blocks before.
                names = [
                    column.name
                    for column in table.columns
                    if column.name not in ("block", "hash", "gas_price", "period")
                ]
                found[table.name] = [
                    (row.block - ledger.first_block, *(getattr(row, name) for name in names))
                    for row in rows.execute(select(table))
                    if table is not events or row.name != "PeriodOpened"
                ]
        assert found[periods.name]
    return found


def test_each_node_leaves_the_same_record(ganache: Node, anvil: Node) -> None:
    on_ganache, on_anvil = indexed(ganache), indexed(anvil)
    assert on_ganache == on_anvil
    assert [row[-1] for row in on_anvil["consumption"]] == [30, 420, 50, 10]
