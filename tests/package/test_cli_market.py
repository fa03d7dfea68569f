"""Commands that set a market up and look at it, on a node of this process."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain.networks import EMBEDDED_CHAIN_ID
from energy_chain.cli.exit_codes import AUDIT_FAILED, CHAIN_FAILED
from energy_chain.market import ZERO_ADDRESS
from tests.package.command_line import (
    LEAVES,
    Outcome,
    Run,
    cannot_use_the_chain,
    in_json,
    json_lines,
    printed,
    refused,
)

CHAIN = "ENERGY_CHAIN_NETWORKS__GANACHE__"
BURNT = "0x" + "de" * 20
"""An address that nobody has the key of, and no contract."""

# The least that each command takes which looks for a market.
ON_A_MARKET = {
    "register": ("dev5",),
    "retire": ("dev3",),
    "roles": (),
    "pause": (),
    "unpause": (),
    "producer put": ("1kWh", "--account", "dev3"),
    "producer run": ("--account", "dev3"),
    "consumer put": ("1kWh", "--account", "dev4"),
    "consumer target": ("--account", "dev4"),
    "consumer consume": ("--account", "dev4"),
    "consumer run": ("--account", "dev4"),
    "aggregator run": ("--once",),
    "operator post": ("--request", "1=1kWh"),
    "operator adjustments": (),
    "operator feed": ("mqtt://127.0.0.1:1/meters", "--map", "meters.csv"),
    "relay serve": (),
    "run": (),
    "status": (),
    "watch": (),
    "audit": (),
    "record update": (),
    "serve": ("--port", "0"),
}
ON_A_CHAIN = {"deploy": (), **ON_A_MARKET}


def arguments(name: str) -> tuple[str, ...]:
    return (*name.split(), *ON_A_CHAIN[name])


def state_of(neighbourhood: Any) -> Any:
    from energy_chain.status import read_status

    return read_status(neighbourhood.by(0))


def event(outcome: Outcome) -> dict[str, Any]:
    """The one event of the one transaction that a command tells of in JSON."""
    told = in_json(outcome)
    assert set(told) == {"transaction", "block", "gas", "events"}
    assert re.fullmatch(r"0x[0-9a-f]{64}", told["transaction"])
    assert 21_000 < told["gas"] < 500_000
    (found,) = told["events"]
    return dict(found)


# ------------------------------------------------------------------ deploy


def test_deploy_says_where_the_market_is_and_remembers_it(
    run: Run, neighbourhood: Any, own_home: Path
) -> None:
    out = printed(run("deploy", "--period", "1h"))
    address = re.search(r"(0x\w{40}) is deployed in block \d+\.", out)
    assert address
    for number, role in enumerate(("owner", "aggregator", "metering operator")):
        assert re.search(rf"{role} *\W *{neighbourhood.dev[number]}", out)
    assert f"ganache remembers it in {own_home / 'deployments.json'}." in out
    status = in_json(run("status", "--json"))
    assert (status["contract"], status["period_length"]) == (address[1], 3600)
    assert address[1] != neighbourhood.address


def test_deploy_tells_programs_what_it_remembers(
    run: Run, neighbourhood: Any, own_home: Path
) -> None:
    told = in_json(run("deploy", "--period", "never", "--json"))
    known = json.loads((own_home / "deployments.json").read_text())
    assert {"chain_id": EMBEDDED_CHAIN_ID, **known[str(EMBEDDED_CHAIN_ID)][-1]} == told
    assert told["network"] == "ganache"
    market = neighbourhood.by(0, told["address"])
    assert (market.owner(), market.period_length()) == (neighbourhood.dev[0], 0)


def test_deploy_takes_roles_by_name_and_by_address(run: Run, neighbourhood: Any) -> None:
    run("deploy", "--aggregator", "dev7", "--operator", BURNT, "--account", neighbourhood.dev[6])
    roles = in_json(run("roles", "--json"))
    assert (roles["owner"], roles["aggregator"]) == (neighbourhood.dev[6], neighbourhood.dev[7])
    assert roles["metering_operator"].lower() == BURNT


@pytest.mark.parametrize(
    ("given", "fragments"),
    [
        (("--period", "15"), ("'15' is not a duration", "15min")),
        (("--period", "10s"), ("period length is invalid", "60 to 31,622,400")),
        (("--aggregator", "nobody"), ("no account 'nobody'", "accounts new nobody")),
        (("--aggregator", "0x12"), ("'0x12' is not an address",)),
        (("--operator", ZERO_ADDRESS), ("energy: address is zero",)),
        (("--account", "dev20"), ("no development account 'dev20'", "dev0 to dev19")),
        (("--account", BURNT), ("there is no key for 0x", "accounts import NAME")),
    ],
)
def test_a_deployment_that_cannot_be_is_refused_and_nothing_is_remembered(
    run: Run, neighbourhood: Any, given: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    refused(run("deploy", *given), *fragments)
    assert neighbourhood.node.sent() == []
    assert in_json(run("roles", "--json"))["contract"] == neighbourhood.address


def test_a_chain_whose_rules_are_too_old_gets_no_contract(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHAIN + "EVM_VERSION", "london")
    cannot_use_the_chain(run("deploy"), "the settings say london", "shanghai or later")
    assert neighbourhood.node.sent() == []


@pytest.mark.usefixtures("pilot")
def test_on_other_chains_than_for_development_the_roles_have_to_be_given(run: Run) -> None:
    refused(run("deploy", "--account", "roof"), "--aggregator is missing", "an account's name")
    refused(run("deploy", "--aggregator", BURNT), "--operator is missing")
    refused(
        run("deploy", "--aggregator", BURNT, "--operator", BURNT),
        "nobody is given to sign: give --account NAME; energy-chain accounts list",
    )
    refused(
        run("deploy", "--aggregator", "dev1", "--operator", BURNT, "--account", "roof"),
        "'dev1' is a development account and everybody has its key",
    )


# ------------------------------------------------------------------ meters


def test_meters_are_registered_by_name_and_by_address(run: Run, neighbourhood: Any) -> None:
    out = printed(run("register", "dev5", BURNT, "dev3", "dev5"))
    assert f"Meter 4: {neighbourhood.dev[5]} registered.\n" in out
    assert re.search(rf"Meter 5: {BURNT} registered\.\n", out, re.IGNORECASE)
    assert re.search(r"block \d+, [\d,]+ gas, 0x\w{64}\n", out)
    assert out.endswith("\n1 registered already.\n")
    assert neighbourhood.by(0).meter_count() == 5


def test_meters_are_registered_from_a_file(run: Run, neighbourhood: Any, tmp_path: Path) -> None:
    (tmp_path / "meters.txt").write_text(f"dev5\n\n  {neighbourhood.dev[6]}  \n")
    (told,) = json_lines(run("register", "--file", "meters.txt", "--account", "dev0", "--json"))
    assert [(e["event"], e["meter"], e["number"]) for e in told["events"]] == [
        ("MeterRegistered", neighbourhood.dev[5], 4),
        ("MeterRegistered", neighbourhood.dev[6], 5),
    ]


def test_meters_are_registered_from_standard_input(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("dev5\n"))
    assert "Meter 4: " in printed(run("register", "--file", "-"))
    assert neighbourhood.by(0).meter(neighbourhood.dev[5]).number == 4


def test_registering_what_is_registered_sends_nothing(run: Run, neighbourhood: Any) -> None:
    assert printed(run("register", "dev3", "dev4")) == "2 registered already.\n"
    assert printed(run("register", "dev3", "--json")) == ""
    assert neighbourhood.node.sent() == []


def test_a_meter_is_retired_and_comes_back_under_its_number(run: Run, neighbourhood: Any) -> None:
    assert f"Meter 1: {neighbourhood.dev[3]} retired." in printed(run("retire", "dev3"))
    assert neighbourhood.by(0).meter(neighbourhood.dev[3]).retired
    refused(run("producer", "put", "1kWh", "--account", "dev3"), "energy: meter is retired")
    refused(run("retire", "dev3"), "energy: meter is retired")
    assert "Meter 1: " in printed(run("register", "dev3"))
    assert not neighbourhood.by(0).meter(neighbourhood.dev[3]).retired
    assert event(run("retire", "dev3", "--json")) == {
        "event": "MeterRetired",
        "meter": neighbourhood.dev[3],
        "number": 1,
    }


def test_meters_that_cannot_be_registered_are_refused(
    run: Run, neighbourhood: Any, tmp_path: Path
) -> None:
    (tmp_path / "bad.txt").write_bytes(b"dev5\n\xff\n")
    before = state_of(neighbourhood)
    refused(run("register"), "no meter is given", "--file FILE")
    refused(run("register", "nobody"), "there is no account 'nobody'")
    refused(run("register", ZERO_ADDRESS), "energy: address is zero")
    refused(run("register", "--file", "no.txt"), "no.txt cannot be read: ", "No such file")
    refused(run("register", "--file", "bad.txt"), "bad.txt cannot be read: ")
    refused(run("register", "dev5", "--account", "dev9"), "energy: sender may not register")
    refused(run("retire", "dev5"), "energy: meter is not registered")
    refused(run("retire", "dev3", "--account", "dev3"), "energy: sender may not register")
    assert state_of(neighbourhood) == before


# ------------------------------------------------------------------ roles, pausing


def test_roles_are_shown_to_whoever_asks(run: Run, neighbourhood: Any) -> None:
    out = printed(run("roles"))
    for number, role in enumerate(("owner", "aggregator", "metering operator")):
        assert re.search(rf"{role} *\W *{neighbourhood.dev[number]}", out)
    assert "pending" not in out
    assert in_json(run("roles", "--json")) == {
        "contract": neighbourhood.address,
        "owner": neighbourhood.dev[0],
        "pending_owner": None,
        "aggregator": neighbourhood.dev[1],
        "metering_operator": neighbourhood.dev[2],
        "transactions": [],
    }
    assert neighbourhood.node.sent() == []


def test_the_owner_appoints_and_passes_the_ownership_on_in_two_steps(
    run: Run, neighbourhood: Any
) -> None:
    dev = neighbourhood.dev
    out = printed(run("roles", "--aggregator", "dev7", "--operator", dev[8], "--owner", "dev6"))
    for said in (
        f"{dev[7]} is the aggregator.",
        f"{dev[8]} is the metering operator.",
        f"The ownership is offered to {dev[6]}.",
    ):
        assert said in out
    assert re.search(rf"pending owner *\W *{dev[6]}", out)
    refused(run("roles", "--accept", "--account", "dev5"), "energy: sender not pending owner")
    told = in_json(run("roles", "--accept", "--account", "dev6", "--json"))
    assert (told["owner"], told["pending_owner"]) == (dev[6], None)
    assert (told["aggregator"], told["metering_operator"]) == (dev[7], dev[8])
    assert len(told["transactions"]) == 1
    refused(run("roles", "--aggregator", "dev1"), "energy: sender is not the owner")
    assert neighbourhood.by(0).owner() == dev[6]


def test_an_offer_of_the_ownership_is_withdrawn(run: Run, neighbourhood: Any) -> None:
    run("roles", "--owner", "dev6")
    assert in_json(run("roles", "--owner", ZERO_ADDRESS, "--json"))["pending_owner"] is None
    refused(run("roles", "--accept", "--account", "dev6"), "energy: sender not pending owner")
    assert neighbourhood.by(0).owner() == neighbourhood.dev[0]


def test_only_the_owner_appoints(run: Run, neighbourhood: Any) -> None:
    for role in "aggregator", "operator", "owner":
        refused(run("roles", f"--{role}", "dev9", "--account", "dev1"), "sender is not the owner")
    refused(run("roles", "--aggregator", ZERO_ADDRESS), "energy: address is zero")
    assert in_json(run("roles", "--json"))["pending_owner"] is None
    assert neighbourhood.by(0).aggregator() == neighbourhood.dev[1]


def test_the_owner_pauses_and_goes_on(run: Run, neighbourhood: Any) -> None:
    assert "Posting and matching are paused.\n" in printed(run("pause"))
    assert neighbourhood.by(0).paused()
    assert "posting and matching are stopped" in printed(run("status"))
    refused(run("pause"), "energy: ")
    owner = {"account": neighbourhood.dev[0]}
    assert event(run("unpause", "--json")) == {"event": "Unpaused", **owner}
    assert not neighbourhood.by(0).paused()
    assert event(run("pause", "--json")) == {"event": "Paused", **owner}
    assert "Posting and matching go on.\n" in printed(run("unpause"))


def test_only_the_owner_pauses(run: Run, neighbourhood: Any) -> None:
    refused(run("pause", "--account", "dev1"), "energy: sender is not the owner")
    refused(run("unpause"), "energy: ")
    run("pause")
    refused(run("unpause", "--account", "dev1"), "energy: sender is not the owner")
    assert neighbourhood.by(0).paused()


# ------------------------------------------------------------------ status, watch


def test_the_status_names_kwh_and_everybody(run: Run, neighbourhood: Any) -> None:
    neighbourhood.match(1_500, 1_200)
    out = printed(run("status"))
    assert f"{neighbourhood.address} on ganache" in out
    assert re.search(r"requests *\W 1 outstanding of 1; next in line 0\.300 kWh", out)
    assert re.search(r"releases *\W 0 outstanding of 1\s", out)
    assert re.search(rf"1 \W {neighbourhood.dev[3]} \W 0\.300 kWh \W +- ", out)
    assert re.search(r"0 \W meter 1 +\W meter 2 +\W +1\.200 kWh", out)
    assert "15 min" in out
    for number in range(3):
        assert neighbourhood.dev[number] in out


def test_the_status_tells_programs_wh(run: Run, neighbourhood: Any) -> None:
    neighbourhood.match(1_500, 1_200)
    told = in_json(run("status", "--json"))
    assert told["requests"] == {"posted": 1, "outstanding": 1, "next_energy_wh": 300}
    assert told["releases"] == {"posted": 1, "outstanding": 0, "next_energy_wh": 0}
    assert told["meters"][0] == {
        "number": 1,
        "address": neighbourhood.dev[3],
        "retired": False,
        "offers_wh": 300,
        "needs_wh": 0,
    }
    assert told["matches"] == [
        {
            "index": 0,
            "producer": neighbourhood.dev[3],
            "consumer": neighbourhood.dev[4],
            "unconsumed_wh": 1_200,
        }
    ]
    assert (told["network"], told["chain_id"]) == ("ganache", EMBEDDED_CHAIN_ID)
    assert (told["contract"], told["paused"]) == (neighbourhood.address, False)
    assert (told["period"], told["period_length"]) == (1_888_889, 900)
    assert told["block_time"].endswith("+00:00")


def test_the_status_shows_the_latest_meters_and_matches(run: Run, neighbourhood: Any) -> None:
    neighbourhood.match(100, 100)
    neighbourhood.match(200, 200)
    told = in_json(run("status", "--meters", "1", "--matches", "1", "--json"))
    assert (told["meter_count"], told["match_count"]) == (3, 2)
    assert [meter["address"] for meter in told["meters"]] == [neighbourhood.roof]
    assert [match["unconsumed_wh"] for match in told["matches"]] == [200]
    told = in_json(run("status", "--meters", "0", "--matches", "0", "--json"))
    assert (told["meters"], told["matches"]) == ([], [])
    assert run("status", "--meters", "-1").code == 2


def test_a_market_that_is_watched_is_looked_at_until_ctrl_c(
    stopped_when: Callable[..., Outcome], neighbourhood: Any
) -> None:
    def looked_twice() -> bool:
        return neighbourhood.node.methods().count("eth_blockNumber") >= 2

    lines = json_lines(stopped_when(looked_twice, "watch", "--every", "0.1", "--json"))
    assert len(lines) >= 2
    assert lines[0] == lines[1]
    assert lines[0]["contract"] == neighbourhood.address
    assert "next_energy_wh" in lines[0]["requests"]


def test_a_market_is_watched_by_people(
    stopped_when: Callable[..., Outcome], neighbourhood: Any
) -> None:
    neighbourhood.match(1_500, 1_200)
    asked = neighbourhood.node.asked
    asked.clear()
    out = printed(stopped_when(lambda: len(asked) > 20, "watch", "--every", "60"))
    assert "next in line 0.300 kWh" in out


# ------------------------------------------------------------------ audit


def test_an_audit_of_a_market_is_clean(run: Run, neighbourhood: Any) -> None:
    neighbourhood.match(1_500, 1_200)
    out = printed(run("audit"))
    assert out.startswith("Audit: clean. 1 match in ")
    told = in_json(run("audit", "--json"))
    assert told["clean"]
    assert (told["contract"], told["difference"]) == (neighbourhood.address, "")
    assert told["matches"] == 1


def test_an_audit_that_finds_a_difference_ends_with_1(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.events import Receipt, RequestPosted

    neighbourhood.match(1_500, 1_200)
    honest = ContractLedger.history

    def history(ledger: ContractLedger) -> Iterator[Receipt]:
        for receipt in honest(ledger):
            yield replace(
                receipt,
                events=tuple(
                    replace(e, energy=e.energy - 1) if isinstance(e, RequestPosted) else e
                    for e in receipt.events
                ),
            )

    monkeypatch.setattr(ContractLedger, "history", history)
    code, out, err = run("audit")
    assert (code, err) == (AUDIT_FAILED, "")
    assert re.match(r"Audit: FAILED\. \S", out)
    code, out, err = run("audit", "--json")
    assert (code, err) == (AUDIT_FAILED, "")
    told = json.loads(out)
    assert not told["clean"]
    assert told["difference"]


# ------------------------------------------------------------------ networks


def test_the_networks_are_listed_without_their_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__URL", "https://u:canary@node.example/canary")
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__FEE_CEILING_GWEI", "0.5")
    out = printed(run("networks", "list"))
    for name in "embedded", "ganache", "anvil", "pilot":
        assert name in out
    assert "in this process" in out
    assert "https://node.example" in out
    assert "0.5 gwei" in out
    told = {network["name"]: network for network in in_json(run("networks", "list", "--json"))}
    assert sorted(told) == ["anvil", "embedded", "ganache", "pilot"]
    assert told["pilot"]["node"] == "https://node.example"
    assert told["pilot"]["fee_ceiling_gwei"] == 0.5
    assert told["ganache"]["development"] is True
    assert told["anvil"]["chain_id"] == 31337
    assert "canary" not in out + json.dumps(told)


def test_a_network_that_is_fine_is_found_so(run: Run, neighbourhood: Any) -> None:
    out = printed(run("networks", "check", "ganache"))
    assert out.count("✓") == 5
    assert not set("✗-") & {line[0] for line in out.splitlines()}
    assert f"✓ contract: {neighbourhood.address}, code " in out
    told = in_json(run("networks", "check", "ganache", "--json"))
    assert (told["network"], told["good"]) == ("ganache", True)
    assert {finding["what"]: finding["good"] for finding in told["findings"]} == {
        "node": True,
        "chain id": True,
        "latest block": True,
        "EVM": True,
        "contract": True,
    }


def test_a_network_without_a_market_is_fine_too(
    run: Run, neighbourhood: Any, own_home: Path
) -> None:
    (own_home / "deployments.json").unlink()
    out = printed(run("networks", "check", neighbourhood.node.url))
    assert "- contract: none is known: deploy one with energy-chain deploy" in out


def test_the_embedded_network_is_fine(run: Run) -> None:
    assert in_json(run("networks", "check", "embedded", "--json"))["good"]


def test_what_is_wrong_with_a_network_ends_with_3(run: Run, neighbourhood: Any) -> None:
    code, out, err = run("networks", "check", "ganache", "--contract", BURNT)
    assert (code, err) == (CHAIN_FAILED, "")
    assert re.search(rf"✗ contract: there is no contract at {BURNT}", out, re.IGNORECASE)
    neighbourhood.node.replaced["eth_chainId"] = lambda _: {"result": "0x1"}
    code, out, err = run("networks", "check", "ganache", "--json")
    assert (code, err) == (CHAIN_FAILED, "")
    told = json.loads(out)
    assert not told["good"]
    (finding,) = told["findings"]
    assert (finding["what"], finding["good"]) == ("node", False)
    assert f"serves chain 1, not {EMBEDDED_CHAIN_ID}" in finding["said"]


def test_a_network_that_nobody_knows_is_not_checked(run: Run) -> None:
    refused(run("networks", "check", "mainnet"), "network 'mainnet' is unknown")


# ------------------------------------------------------------------ chains that are of no use


ALONE = {"demo", "simulate", "ganache"}
"""Commands that need no market."""


def test_every_command_with_a_market_is_tried() -> None:
    needing = {name.removeprefix("energy-chain ") for name in LEAVES} - {
        "demo",
        "simulate",
        "ganache",
    }
    groups = "networks", "accounts", "meters", "data", "outbox"
    elsewhere = {name for name in needing if name.split()[0] in groups}
    elsewhere |= {"relay post", "relay status"}
    elsewhere |= {"record show", "record bill", "record export", "verify-bill", "plot"}
    assert needing - elsewhere == set(ON_A_CHAIN)


@pytest.mark.parametrize("name", ON_A_CHAIN)
def test_a_command_refuses_the_embedded_chain_and_unknown_networks(run: Run, name: str) -> None:
    refused(
        run(*arguments(name), "--network", "embedded"),
        "the embedded chain ends with the command",
        "give --network ganache, which energy-chain ganache starts",
    )
    refused(
        run(*arguments(name), "--network", "mainnet"),
        "network 'mainnet' is unknown",
        "embedded, ganache, anvil",
    )


@pytest.mark.parametrize("name", ON_A_CHAIN)
def test_a_command_without_a_node_ends_with_3(
    run: Run, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[str] = []
    monkeypatch.setenv(CHAIN + "URL", serve(lambda method, _: asked.append(method) or b"no node"))
    cannot_use_the_chain(
        run(*arguments(name)), "no usable answer to eth_chainId", "energy-chain ganache starts one"
    )
    assert asked == ["eth_chainId"]


@pytest.mark.parametrize("name", ON_A_MARKET)
def test_a_command_on_a_chain_without_our_market_ends_with_3(
    run: Run, neighbourhood: Any, own_home: Path, name: str
) -> None:
    given = arguments(name)
    (own_home / "deployments.json").unlink()
    cannot_use_the_chain(
        run(*given), f"no market is known on ganache, chain {EMBEDDED_CHAIN_ID}", "--contract"
    )
    cannot_use_the_chain(run(*given, "--contract", BURNT), "there is no contract at 0x")
    neighbourhood.node.replaced["eth_getCode"] = lambda _: {"result": "0x6001"}
    cannot_use_the_chain(
        run(*given, "--contract", neighbourhood.address),
        f"there is another contract at {neighbourhood.address} on ganache",
    )
    refused(run(*given, "--contract", "0x12"), "'0x12' is not an address")
    assert neighbourhood.node.sent() == []


def test_another_chain_than_the_one_that_is_set_ends_with_3(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHAIN + "CHAIN_ID", "1337")
    for given in ("status",), ("producer", "put", "1kWh", "--account", "dev3"):
        cannot_use_the_chain(
            run(*given), f"ganache serves chain {EMBEDDED_CHAIN_ID}, not 1337", "check url"
        )
    assert neighbourhood.node.methods() == ["eth_chainId"] * 2


def test_a_chain_that_began_anew_has_no_market(
    run: Run, neighbourhood: Any, own_home: Path
) -> None:
    known = json.loads((own_home / "deployments.json").read_text())
    known[str(EMBEDDED_CHAIN_ID)][-1]["genesis"] = "0x" + "00" * 32
    (own_home / "deployments.json").write_text(json.dumps(known))
    cannot_use_the_chain(
        run("pause"),
        f"{neighbourhood.address}, deployed on ganache, is on another chain",
        "deploy --network ganache",
    )
    assert not neighbourhood.by(0).paused()


def test_a_market_is_found_by_its_address(
    run: Run, neighbourhood: Any, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_home / "deployments.json").unlink()
    told = in_json(run("roles", "--contract", neighbourhood.address, "--json"))
    monkeypatch.setenv("ENERGY_CHAIN_CONTRACT", neighbourhood.address)
    assert in_json(run("roles", "--json")) == told
    monkeypatch.delenv("ENERGY_CHAIN_CONTRACT")
    monkeypatch.setenv(CHAIN + "CONTRACT", neighbourhood.address)
    assert in_json(run("roles", "--json")) == told
    assert told["contract"] == neighbourhood.address


def test_who_cannot_pay_is_told_so(run: Run, neighbourhood: Any) -> None:
    neighbourhood.by(0).register_meters([_dev(15)])
    before = state_of(neighbourhood)
    cannot_use_the_chain(
        run("producer", "put", "1kWh", "--account", "dev15"),
        f"{_dev(15)} cannot pay for incomingRequest",
        "it has 0.000000 ether of the ",
        "energy-chain accounts fund 0x",
    )
    assert state_of(neighbourhood) == before


def _dev(number: int) -> str:
    from energy_chain.chain.accounts import development_accounts

    return str(development_accounts(number + 1)[number].address)


def test_nothing_is_sent_while_gas_is_dear(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHAIN + "FEE_CEILING_GWEI", "0.000001")
    cannot_use_the_chain(
        run("producer", "put", "1kWh", "--account", "dev3"),
        "above the ceiling of 0.000001",
        "fee_ceiling_gwei of network ganache",
    )
    assert neighbourhood.node.sent() == []
    assert neighbourhood.by(0).request_counter() == 0


def test_a_node_that_goes_away_says_whether_something_was_sent(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__TOTAL_TIMEOUT", "0.2")
    neighbourhood.node.replaced["eth_getTransactionReceipt"] = lambda _: b"gone"
    cannot_use_the_chain(
        run("pause"), "pause() was not seen mined", "it is in the outbox as transaction 0x"
    )
    neighbourhood.node.replaced.clear()
    assert neighbourhood.by(0).paused()
