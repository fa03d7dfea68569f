"""A producer, a consumer and an aggregator, each on a machine of its own, trade on one chain.

Nothing is shared but the node: each has its own keys, settings and passphrase, and is told where
the market is. The keys that everybody knows are of no use to them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from energy_chain.chain.ganache import Ganache, GanacheSettings
from tests.integration.machines import Machine
from tests.integration.nodes import ask, block_time, free_port, require_ganache

CHAIN_ID = 424_242
HOUR = 3600
"""The period, which no machine is too slow for; the test moves the chain from one to the next."""
ETHER = 10**18
HEADER = "meter,period_start,consumption_kwh,production_kwh\n"


def a_day(meter: str, *energies: tuple[float, float]) -> str:
    """Readings of a day: kWh consumed and produced in its first hours, and nothing after them."""
    hours = [*energies, *[(0.0, 0.0)] * (24 - len(energies))]
    return HEADER + "".join(
        f"{meter},2026-06-21T{hour:02}:00Z,{consumed},{produced}\n"
        for hour, (consumed, produced) in enumerate(hours)
    )


class Parties(NamedTuple):
    owner: Machine
    producer: Machine
    consumer: Machine
    aggregator: Machine


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A node as a pilot chain has it: a block each second, whether anybody sends or not."""
    require_ganache()
    settings = GanacheSettings(
        port=free_port(), chain_id=CHAIN_ID, database=tmp_path / "chain", block_time=1
    )
    with Ganache.start(settings) as ganache:
        yield ganache.url


def settings(url: str, *lines: str) -> str:
    described = [f'url = "{url}"', f"chain_id = {CHAIN_ID}", *lines]
    return 'network = "pilot"\n[networks.pilot]\n' + "\n".join(described) + "\n"


@pytest.fixture
def parties(url: str, tmp_path: Path) -> Parties:
    """Each is given its passphrase in another way."""
    owner = Machine(tmp_path / "owner")
    owner.write("energy-chain.toml", settings(url, "development = true"))
    producer = Machine(tmp_path / "producer")
    producer.write("passphrase", "sun\n")
    producer.write("readings.csv", a_day("roof", (0.3, 1.8), (0, 0.9)))
    consumer = Machine(
        tmp_path / "consumer", ENERGY_CHAIN_PASSPHRASE="flour", ENERGY_CHAIN_ACCOUNT="bakery"
    )
    consumer.write("readings.csv", a_day("bakery", (1.2, 0), (1.5, 0.5)))
    aggregator = Machine(
        tmp_path / "aggregator",
        ENERGY_CHAIN_PASSPHRASE_FILE=tmp_path / "aggregator" / "passphrase",
    )
    aggregator.write("passphrase", "both\n")
    for party in (producer, consumer, aggregator):
        party.write("energy-chain.toml", settings(url, "development = false"))
    return Parties(owner, producer, consumer, aggregator)


def fund(url: str, addresses: Sequence[str]) -> None:
    """From an account of the node itself, which signs for it."""
    giver = ask(url, "eth_accounts")[9]
    for address in addresses:
        ask(url, "eth_sendTransaction", {"from": giver, "to": address, "value": hex(ETHER)})


def begin_next_period(url: str) -> None:
    """Moves the chain's clock to where a period has just begun; the next block has that time."""
    ask(url, "evm_increaseTime", HOUR - block_time(url) % HOUR)


def energies(result: dict[str, Any]) -> tuple[int, ...]:
    names = ("posted", "matched", "expired", "outstanding")
    return tuple(result[name] for name in names)


def test_three_parties_trade_on_machines_of_their_own(parties: Parties, url: str) -> None:
    owner, producer, consumer, aggregator = parties
    given = "--passphrase-file", "passphrase"
    roof = producer.json("accounts", "new", "roof", *given)["address"]
    bakery = consumer.json("accounts", "new", "bakery")["address"]
    community = aggregator.json("accounts", "new", "community")["address"]
    fund(url, [roof, bakery, community])

    market = owner.json("deploy", "--period", "1h", "--aggregator", community, "--operator", "dev2")
    owner.json("register", roof, bakery)

    # Each is told about the market in another way.
    contract = market["address"]
    told = settings(url, "development = false", f'contract = "{contract}"')
    producer.write("energy-chain.toml", told)
    aggregator.environment["ENERGY_CHAIN_CONTRACT"] = contract
    here = "--contract", contract
    everybodys = producer.fails(2, "producer", "put", "1kWh", "--account", "dev3")
    assert "'dev3' is a development account and everybody has its key" in everybodys

    begin_next_period(url)
    read = "--data", "readings.csv", "--json"
    with (
        producer.start("producer", "run", *read, "--account", "roof", *given) as offering,
        consumer.start("consumer", "run", *read, *here) as needing,
        aggregator.start("aggregator", "run", "--json", "--account", "community") as matching,
    ):
        offering.event("RequestPosted", meter=roof, counter=0, energy_wh=1_500)
        needing.event("ReleasePosted", meter=bakery, counter=0, energy_wh=1_200)
        assert matching.until(lambda done: done["matches"])["energy_wh"] == 1_200
        needing.event("DeliveryConfirmed", index=0, energy_wh=1_200)
        assert consumer.json("consumer", "target", *here) == {
            "consumer": bakery,
            "producer": roof,
            "energy_wh": 0,
        }

        # By hand as well, while the processes go on: what is left of the first request goes first.
        producer.json("producer", "put", "200Wh", "--account", "roof", *given)
        consumer.json("consumer", "put", "0.4kWh", *here)
        done = matching.until(lambda done: done["matches"])
        assert (done["matches"], done["energy_wh"]) == (2, 400)
        needing.event("DeliveryConfirmed", index=1, energy_wh=300)
        needing.event("DeliveryConfirmed", index=2, energy_wh=100)

        begin_next_period(url)
        offering.event("RequestPosted", meter=roof, counter=2, energy_wh=900)
        needing.event("ReleasePosted", meter=bakery, counter=2, energy_wh=1_000)
        assert matching.until(lambda done: done["matches"])["energy_wh"] == 900
        needing.event("DeliveryConfirmed", index=3, energy_wh=900)

        assert [json.loads(line) for line in offering.end()] == [{"posted": 2, "late": 0}]
        assert [json.loads(line) for line in needing.end()] == [{"posted": 2, "late": 0}]
        total = json.loads(matching.end()[-1])
        assert total == {"total": {"matches": 4, "energy_wh": 2_500}}

    verdict = owner.json("audit")
    assert verdict["clean"]
    assert energies(verdict["requests_wh"]) == (2_600, 2_500, 100, 0)
    assert energies(verdict["releases_wh"]) == (2_600, 2_500, 0, 100)
    assert verdict["consumed_wh"] == 2_500
    status = owner.json("status")
    assert status["contract"] == contract
    assert (status["aggregator"], status["match_count"]) == (community, 4)
    assert status["requests"] == {"posted": 3, "outstanding": 0, "next_energy_wh": 0}
    assert status["releases"] == {"posted": 3, "outstanding": 1, "next_energy_wh": 100}
    assert [meter["needs_wh"] for meter in status["meters"]] == [0, 100]
    assert {match["unconsumed_wh"] for match in status["matches"]} == {0}
