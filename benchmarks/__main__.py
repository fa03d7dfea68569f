"""Prints what the calls of the market cost: `python -m benchmarks [--json]`.

Every figure is the gas that a receipt says was used, on py-evm with Shanghai
rules, of orders of 1,000 to 1,255 Wh between meters with numbers below 256. First
lap: slots are written for the first time. Steady: all rings have been written.
"""

from __future__ import annotations

import argparse
import json
from functools import partial

from rich.console import Console
from rich.progress import track
from rich.table import Table

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import EMBEDDED
from energy_chain.chain.sender import TransactionSender
from energy_chain.market import LANES_PER_WORD, MATCH_CAPACITY, MAX_BATCH, Release, Request

GENESIS_TIME = 1_600_000_000
METERS = 200
FIRST_ENERGY = 1_000
"""Wh; two bytes, as the surplus of a quarter of an hour has."""
BATCHES = (1, 10, 50, 100, 252)


def deploy() -> tuple[ContractLedger, ContractLedger, ContractLedger]:
    """A market with 200 meters: the ledgers of its operator, a producer and a consumer."""
    owner, aggregator, operator, *homes = development_accounts(3 + METERS)
    everyone = (owner, aggregator, operator, *homes)
    connection = Connection.open(EMBEDDED, [a.address for a in everyone], GENESIS_TIME)
    sender = TransactionSender(connection, everyone)
    ledger = ContractLedger.deploy(
        sender, owner.address, aggregator.address, operator.address, period_length=0
    ).as_account(operator.address)
    ledger.register_meters([home.address for home in homes])
    return ledger, ledger.as_account(homes[0].address), ledger.as_account(homes[-1].address)


def round_of(operator: ContractLedger, orders: int) -> dict[str, int]:
    """Gas of posting, matching and confirming a batch of orders, one to one."""
    energies = [FIRST_ENERGY + i for i in range(orders)]
    numbers = [1 + i % METERS for i in range(orders)]
    first = operator.match_counter()
    receipts = {
        "post requests": operator.post_requests(
            [Request(n, wh) for n, wh in zip(numbers, energies, strict=True)]
        ),
        "post releases": operator.post_releases(
            [Release(METERS + 1 - n, wh) for n, wh in zip(numbers, energies, strict=True)]
        ),
        "match": operator.match_pending(MAX_BATCH),
    }
    if first % LANES_PER_WORD == 0:
        receipts["confirm"] = operator.confirm_deliveries(first, energies)
    return {name: receipt.gas_used for name, receipt in receipts.items()}


def first_lap(orders: int) -> dict[str, float]:
    """Gas of each order of a batch into a new market."""
    operator, *_ = deploy()
    return {name: used / orders for name, used in round_of(operator, orders).items()}


def written_market() -> tuple[ContractLedger, ContractLedger, ContractLedger]:
    """As `deploy`, with all slots of all rings written."""
    operator, producer, consumer = deploy()
    for _ in range(MATCH_CAPACITY // MAX_BATCH):
        round_of(operator, MAX_BATCH)
    return operator, producer, consumer


def steady(operator: ContractLedger, orders: int) -> dict[str, float]:
    """Gas of each order of a batch into a written market."""
    gas = round_of(operator, orders)
    if rest := -operator.match_counter() % LANES_PER_WORD:
        round_of(operator, rest)  # every round begins at the start of a word
    return {name: used / orders for name, used in gas.items()}


def singles() -> dict[str, int]:
    """Gas of the calls that one meter makes for itself, in a written market."""
    operator, producer, consumer = written_market()
    return {
        "incomingRequest": producer.post_request(producer.account, FIRST_ENERGY).gas_used,
        "incomingRelease": consumer.post_release(consumer.account, FIRST_ENERGY).gas_used,
        "match_pending, one match": operator.match_pending(1).gas_used,
        "consume_match": consumer.consume_match(
            operator.match_counter() - 1, FIRST_ENERGY
        ).gas_used,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    console = Console(stderr=True)
    operator, *_ = written_market()
    rows = [
        (lap, orders, gas_of(orders))
        for lap, gas_of in (("first lap", first_lap), ("steady", partial(steady, operator)))
        for orders in track(BATCHES, lap, console=console, disable=not console.is_terminal)
    ]
    single = singles()
    if as_json:
        batches = [{"lap": lap, "orders": n, "gas_each": gas} for lap, n, gas in rows]
        print(json.dumps({"batches": batches, "singles": single}, indent=2))
        return
    table = Table(title="Gas for each order, in batches, events included", title_justify="left")
    for heading in ("", "orders", "post requests", "post releases", "match", "confirm", "pair"):
        table.add_column(heading, justify="left" if not heading else "right")
    for lap, orders, gas in rows:
        table.add_row(
            lap, str(orders), *(f"{used:,.0f}" for used in (*gas.values(), sum(gas.values())))
        )
    Console().print(table)
    table = Table(title="Gas of single calls, steady", title_justify="left", show_header=False)
    for name, used in single.items():
        table.add_row(name, f"{used:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
