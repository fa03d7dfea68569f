"""The commands, on nodes as people run them. Each test has a machine and a market of its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain.accounts import development_accounts
from tests.integration.machines import Machine, is_running
from tests.integration.nodes import Node, free_port

DEV = [account.address for account in development_accounts(20)]
READINGS = """meter,period_start,consumption_kwh,production_kwh
roof,2026-06-21T00:00Z,0.1,0
bakery,2026-06-21T00:00Z,0.4,0
shop,2026-06-21T00:00Z,0.2,0
roof,2026-06-21T06:00Z,0.1,1.6
bakery,2026-06-21T06:00Z,0.9,0
shop,2026-06-21T06:00Z,0.4,0
roof,2026-06-21T12:00Z,0.1,2.6
bakery,2026-06-21T12:00Z,0.7,0
shop,2026-06-21T12:00Z,0.3,0.8
roof,2026-06-21T18:00Z,0.5,0
bakery,2026-06-21T18:00Z,0.3,0
shop,2026-06-21T18:00Z,0.2,0.5
"""
TRADED = {
    "offered": 1_500 + 2_500 + 500 + 300,
    "needed": 700 + 1_300 + 700 + 800,
    "matched": 1_300 + 700 + 300,
    "consumed": 1_300 + 700 + 300,
    "to_grid": 200 + 2_300,
    "from_grid": 700 + 500,
}


def on(node: Node, folder: Path) -> Machine:
    """A machine that knows a node by the name of its program."""
    name = "GANACHE" if node.chain_id == 1337 else "ANVIL"
    known = {f"ENERGY_CHAIN_NETWORKS__{name}__URL": node.url, "ENERGY_CHAIN_NETWORK": name.lower()}
    machine = Machine(folder, **known)
    machine.write("readings.csv", READINGS)
    return machine


@pytest.fixture
def machine(ganache: Node, tmp_path: Path) -> Machine:
    return on(ganache, tmp_path / "machine")


@pytest.fixture
def market(machine: Machine) -> str:
    """The address of a market with the meters dev3, dev4 and dev5."""
    address: str = machine.json("deploy", "--period", "24h")["address"]
    machine.json("register", "dev3", "dev4", "dev5")
    return address


def put(machine: Machine, requests: dict[str, str], releases: dict[str, str]) -> None:
    for kind, orders in (("producer", requests), ("consumer", releases)):
        for account, energy in orders.items():
            machine.json(kind, "put", energy, "--account", account)


def events(receipts: Any) -> list[str]:
    """The names of the events of receipts, or of one."""
    receipts = receipts if isinstance(receipts, list) else [receipts]
    return [event["event"] for receipt in receipts for event in receipt["events"]]


# ------------------------------------------------------------------ setting a market up


def test_a_network_is_fine_before_there_is_a_market_and_after(machine: Machine) -> None:
    def found() -> dict[str, tuple[bool | None, str]]:
        checked = machine.json("networks", "check", "ganache")
        assert checked["good"]
        return {each["what"]: (each["good"], each["said"]) for each in checked["findings"]}

    before = found()
    assert before["node"][1].startswith("Ganache/v7.9.2")
    assert before["chain id"] == (True, "1337")
    assert before["EVM"] == (True, "runs code for shanghai")
    assert before["contract"][0] is None
    address = machine.json("deploy")["address"]
    good, said = found()["contract"]
    assert good
    assert said.startswith(f"{address}, code ")


def test_of_two_markets_the_one_deployed_last_counts(machine: Machine) -> None:
    first, second = (machine.json("deploy")["address"] for _ in range(2))
    assert first != second
    assert machine.json("status")["contract"] == second
    assert machine.json("status", "--contract", first)["contract"] == first


def test_a_market_is_found_on_another_machine_only_with_its_address(
    machine: Machine, market: str, ganache: Node, tmp_path: Path
) -> None:
    other = on(ganache, tmp_path / "other")
    assert "--contract ADDRESS" in other.fails(3, "status")
    assert other.json("status", "--contract", market)["meter_count"] == 3
    assert machine.json("status")["meter_count"] == 3


def test_roles_are_named_at_the_deployment(machine: Machine) -> None:
    machine.json(
        "deploy", "--period", "never", "--account", "dev8", "--aggregator", DEV[6], "--operator",
        "dev7",
    )  # fmt: skip
    roles = machine.json("roles")
    names = ("owner", "pending_owner", "aggregator", "metering_operator")
    assert [roles[name] for name in names] == [DEV[8], None, DEV[6], DEV[7]]
    assert machine.json("status")["period_length"] == 0
    machine.json("register", "dev9", "--account", "dev7")


def test_meters_are_registered_once_and_retired(machine: Machine, market: str) -> None:  # noqa: ARG001
    file = machine.write("meters.txt", f"dev4\n\n{DEV[6]}\n")
    assert events(machine.json("register", "dev6", "--file", file)) == ["MeterRegistered"]
    assert machine.told("register", "dev6") == "1 registered already.\n"
    assert events(machine.json("retire", DEV[4])) == ["MeterRetired"]
    assert "meter is retired" in machine.fails(2, "consumer", "put", "1Wh", "--account", "dev4")
    meters = machine.json("status")["meters"]
    assert [meter["retired"] for meter in meters] == [False, True, False, False]


def test_the_ownership_is_offered_and_taken(machine: Machine, market: str) -> None:  # noqa: ARG001
    changed = machine.json(
        "roles", "--aggregator", "dev10", "--operator", "dev11", "--owner", "dev12"
    )
    assert (changed["aggregator"], changed["metering_operator"]) == (DEV[10], DEV[11])
    assert (changed["owner"], changed["pending_owner"]) == (DEV[0], DEV[12])
    refused = machine.fails(2, "roles", "--accept", "--account", "dev13")
    assert "sender not pending owner" in refused
    taken = machine.json("roles", "--accept", "--account", "dev12")
    assert (taken["owner"], taken["pending_owner"]) == (DEV[12], None)
    assert "sender is not the owner" in machine.fails(2, "pause")
    assert events(machine.json("pause", "--account", "dev12")) == ["Paused"]


def test_nothing_is_posted_while_the_market_is_paused(machine: Machine, market: str) -> None:  # noqa: ARG001
    machine.json("pause")
    said = machine.fails(2, "producer", "put", "1kWh", "--account", "dev3")
    assert "energy: market is paused" in said
    assert machine.json("status")["paused"]
    machine.json("unpause")
    put(machine, {"dev3": "1kWh"}, {})
    assert machine.json("status")["requests"]["posted"] == 1


# ------------------------------------------------------------------ trading by hand


def test_what_is_put_is_matched_looked_up_and_drawn(machine: Machine, market: str) -> None:  # noqa: ARG001
    put(machine, {"dev3": "1.5kWh", "dev4": "300 Wh"}, {"dev5": "1.7kWh"})
    done = machine.json("aggregator", "run", "--once")
    assert (done["matches"], done["energy_wh"], done["calls"]) == (2, 1_700, 1)
    dev5 = "--account", "dev5"
    target = machine.json("consumer", "target", *dev5)
    assert target == {"consumer": DEV[5], "producer": DEV[4], "energy_wh": 200}

    machine.json("consumer", "consume", "50Wh", *dev5)
    assert machine.json("consumer", "target", *dev5)["energy_wh"] == 150
    too_much = machine.fails(2, "consumer", "consume", "151Wh", *dev5)
    assert "value above what is left" in too_much
    drawn = machine.json("consumer", "consume", *dev5)
    assert [receipt["events"][0]["energy_wh"] for receipt in drawn] == [1_500, 150]
    assert "Nothing is matched for" in machine.told("consumer", "consume", *dev5)

    verdict = machine.json("audit")
    assert (verdict["clean"], verdict["matches"], verdict["consumed_wh"]) == (True, 2, 1_700)


def test_who_has_no_match_yet_has_no_target(machine: Machine, market: str) -> None:  # noqa: ARG001
    target = machine.json("consumer", "target", "--meter", "dev5", "--account", "dev3")
    assert target == {"consumer": DEV[5], "producer": None, "energy_wh": 0}
    assert "has no match yet" in machine.told("consumer", "target", "--account", "dev5")
    said = machine.fails(2, "consumer", "consume", "1Wh", "--account", "dev5")
    assert "consumer has no match" in said


def test_the_operator_posts_by_number_name_and_address(machine: Machine, market: str) -> None:  # noqa: ARG001
    orders = f"meter,kind,energy\n2,release,0.4kWh\n{DEV[5]},release,300Wh\n"
    file = machine.write("orders.csv", orders)
    receipt = machine.json(
        "operator", "post", "--request", "1=1kWh", "--request", "dev4=100Wh", "--file", file
    )
    requests, releases = (event["orders"] for event in receipt["events"][-2:])
    assert requests == [
        {"meter_number": 1, "energy_wh": 1_000},
        {"meter_number": 2, "energy_wh": 100},
    ]
    assert releases == [
        {"meter_number": 2, "energy_wh": 400},
        {"meter_number": 3, "energy_wh": 300},
    ]
    status = machine.json("status")
    assert [meter["offers_wh"] for meter in status["meters"]] == [1_000, 100, 0]
    assert [meter["needs_wh"] for meter in status["meters"]] == [0, 400, 300]


@pytest.mark.parametrize(
    ("orders", "fragment"),
    [
        ("1,request,1kWh\n", "its first line must be meter,kind,energy"),
        ("meter,kind,energy\n1,request,1kWh\n2,offer,1kWh\n", "line 3: kind 'offer'"),
        ("meter,kind,energy\n1,request,1\n", "line 2: '1' is not an energy"),
        ("meter,kind,energy\ndev9,request,1kWh\n", "meter is not registered"),
    ],
)
def test_orders_that_cannot_be_posted_post_nothing(
    machine: Machine,
    market: str,  # noqa: ARG001
    orders: str,
    fragment: str,
) -> None:
    file = machine.write("orders.csv", orders)
    post = "operator", "post", "--request", "1=1kWh", "--file", file
    assert fragment in machine.fails(2, *post)
    assert machine.json("status")["requests"]["posted"] == 0


# ------------------------------------------------------------------ readings


@pytest.mark.parametrize("how", [(), ("--single",)], ids=["packed", "single"])
def test_readings_are_replayed_on_the_market(
    machine: Machine, market: str, how: tuple[str, ...]
) -> None:
    done = machine.json("run", "--data", "readings.csv", *how)
    assert (done["contract"], done["periods"]) == (market, 4)
    assert done["energy_wh"] == TRADED
    verdict = machine.json("audit")
    assert verdict["clean"]
    assert verdict["consumed_wh"] == TRADED["consumed"]


def test_readings_go_to_the_accounts_that_a_file_names(machine: Machine, market: str) -> None:  # noqa: ARG001
    given = machine.write("meters.csv", f"meter,account\nroof,dev3\nbakery,{DEV[9]}\nshop,dev5\n")
    machine.json("run", "--data", "readings.csv", "--meters", given)
    meters = machine.json("status")["meters"]
    assert [meter["address"] for meter in meters] == [DEV[3], DEV[4], DEV[5], DEV[9]]
    given.write_text("meter,account\nroof,dev3\nbakery,dev4\n")
    said = machine.fails(2, "run", "--data", "readings.csv", "--meters", given)
    assert "has no account of shop" in said


def test_the_demo_trades_the_same_on_every_node(node: Node, tmp_path: Path) -> None:
    machine = on(node, tmp_path / "machine")
    done = machine.json("demo", "--data", "readings.csv")
    assert (done["chain_id"], done["energy_wh"]) == (node.chain_id, TRADED)
    assert done["audit"]["clean"]


# ------------------------------------------------------------------ commands that go on


def test_the_market_is_watched_until_that_is_enough(machine: Machine, market: str) -> None:
    with machine.start("watch", "--every", "0.2", "--json") as watching:
        assert watching.json()["contract"] == market
        put(machine, {"dev3": "1kWh"}, {})
        watching.until(lambda status: status["requests"]["outstanding"] == 1)
        watching.end(signal.SIGTERM)


def test_a_home_of_a_development_chain_trades_while_nobody_else_sends(
    machine: Machine,
    market: str,  # noqa: ARG001
) -> None:
    put(machine, {"dev3": "5kWh"}, {})
    with machine.start("consumer", "run", "--account", "dev4", "--json") as needing:
        needed = needing.event("ReleasePosted")["energy_wh"]
        machine.json("aggregator", "run", "--once")
        assert needing.event("DeliveryConfirmed")["energy_wh"] == needed
        assert json.loads(needing.end(signal.SIGINT)[-1]) == {"posted": 1, "late": 0}


# ------------------------------------------------------------------ energy-chain ganache


@pytest.fixture
def alone(tmp_path: Path, ganache_installed: None) -> Machine:  # noqa: ARG001
    """A machine whose network ganache is on a port where nobody listens yet."""
    url = f"http://127.0.0.1:{free_port()}"
    return Machine(tmp_path / "alone", ENERGY_CHAIN_NETWORKS__GANACHE__URL=url)


def test_ganache_says_who_is_who_and_goes_on_where_it_ended(alone: Machine) -> None:
    with alone.start("ganache") as ganache:
        lines = [ganache.line()]
        while "Ctrl-C stops it." not in lines[-1]:
            lines.append(ganache.line())
        text = "\n".join(lines)
        assert [address for address in DEV if address not in text] == []
        assert "chain 1337, shanghai rules" in text
        market = alone.json("deploy")["address"]
        assert "is taken: is a Ganache running there already?" in alone.fails(3, "ganache")
        assert ganache.end(signal.SIGINT) == ["Ganache has stopped; its chain is kept."]
    assert "energy-chain ganache starts one" in alone.fails(3, "status")

    with alone.start("ganache", "--json") as ganache:
        told = ganache.json()
        assert list(told["accounts"].values()) == DEV
        assert alone.json("status")["contract"] == market
        assert is_running(told["pid"])
        assert ganache.end(signal.SIGTERM) == []
        assert not is_running(told["pid"])
