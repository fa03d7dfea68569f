"""What goes wrong on nodes: one line on standard error, and the code that the documentation names.

2 is input that cannot be used or a refusal of the market, 3 a chain that cannot be reached, trusted
or used. Nothing is sent where something is wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.ganache import Ganache, GanacheSettings
from tests.integration.machines import Machine
from tests.integration.nodes import Node, ask, free_port

DEV = [account.address for account in development_accounts(10)]
RETURNS_ONE_BYTE = "0x60ff60005360016000f3"
"""Deploys a contract whose code is ff."""
SECRET = {"ENERGY_CHAIN_PASSPHRASE": "correct horse"}


def machine_of(url: str, folder: Path, **environment: object) -> Machine:
    return Machine(folder, ENERGY_CHAIN_NETWORKS__GANACHE__URL=url, **environment)


@pytest.fixture
def machine(ganache: Node, tmp_path: Path) -> Machine:
    return machine_of(ganache.url, tmp_path / "machine")


@pytest.fixture
def market(machine: Machine) -> str:
    """A market that has the meter dev3."""
    address: str = machine.json("deploy", "--period", "never")["address"]
    machine.json("register", "dev3")
    return address


def blocks(node: Node) -> int:
    return int(ask(node.url, "eth_blockNumber"), 16)


PUT = "producer", "put", "1kWh"
"""What is tried, unless something else is said."""


# ------------------------------------------------------------------ the chain


def test_a_node_that_is_down_is_named_with_what_starts_it(tmp_path: Path) -> None:
    machine = machine_of(f"http://127.0.0.1:{free_port()}", tmp_path / "machine")
    for command in (("deploy",), ("status",), (*PUT, "--account", "dev3"), ("audit",)):
        said = machine.fails(3, *command)
        assert "from ganache" in said
        assert "energy-chain ganache starts one" in said
    checked = machine.run("networks", "check", "ganache")
    assert (checked.code, checked.err) == (3, "")
    assert "no usable answer to eth_chainId from ganache" in checked.out


def test_another_chain_than_the_one_described_is_refused(machine: Machine, market: str) -> None:  # noqa: ARG001
    other = {"ENERGY_CHAIN_NETWORKS__GANACHE__CHAIN_ID": 5777}
    for command in (("deploy",), ("status",), (*PUT, "--account", "dev3")):
        said = machine.fails(3, *command, **other)
        assert "ganache serves chain 1337, not 5777: check url and chain_id" in said
    machine.json(*PUT, "--account", "dev3")


def test_a_chain_without_a_market_says_how_to_get_one(machine: Machine) -> None:
    for command in (("status",), ("watch",), ("audit",), (*PUT, "--account", "dev3"), ("roles",)):
        said = machine.fails(3, *command)
        assert "no market is known on ganache, chain 1337" in said
        assert "energy-chain deploy --network ganache" in said


@pytest.mark.usefixtures("ganache_installed")
def test_a_chain_that_has_begun_anew_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    port = free_port()
    machine = machine_of(f"http://127.0.0.1:{port}", tmp_path / "machine")
    with Ganache.start(GanacheSettings(port=port, database=tmp_path / "old")):
        old = machine.json("deploy")["address"]
    with Ganache.start(GanacheSettings(port=port, database=tmp_path / "new")) as ganache:
        # The same account has deployed: there is a market at the very address, but not that one.
        machine_of(ganache.url, tmp_path / "other").json("deploy")
        for command in (("status",), (*PUT, "--account", "dev3")):
            said = machine.fails(3, *command)
            assert f"{old}, deployed on ganache, is on another chain" in said
            assert "energy-chain deploy --network ganache" in said
        checked = machine.run("networks", "check", "ganache")
        assert checked.code == 3
        assert "has begun anew" in checked.out
        machine.json("deploy")
        assert machine.json("status")["meter_count"] == 0


def test_another_contract_and_none_are_told_from_ours(machine: Machine, ganache: Node) -> None:
    deployment = {"from": DEV[9], "data": RETURNS_ONE_BYTE, "gas": hex(100_000)}
    digest = ask(ganache.url, "eth_sendTransaction", deployment)
    other = ask(ganache.url, "eth_getTransactionReceipt", digest)["contractAddress"]
    assert ask(ganache.url, "eth_getCode", other, "latest") == "0xff"
    for address, what in ((other, "another contract"), (DEV[3], "no contract")):
        for command in (("status",), (*PUT, "--account", "dev3")):
            said = machine.fails(3, *command, "--contract", address)
            assert f"there is {what} at" in said
        checked = machine.run("networks", "check", "ganache", "--contract", address)
        assert checked.code == 3
        assert what in checked.out
    assert "is not an address" in machine.fails(2, "status", "--contract", "0x12")


@pytest.mark.usefixtures("ganache_installed")
def test_rules_that_are_too_old_are_found_before_anything_is_sent(tmp_path: Path) -> None:
    settings = GanacheSettings(port=free_port(), hardfork="london", database=tmp_path / "chain")
    with Ganache.start(settings) as node:
        machine = machine_of(node.url, tmp_path / "machine")
        checked = machine.run("networks", "check", "ganache")
        assert checked.code == 3
        assert "cannot run code for shanghai" in checked.out
        assert "use a node with the rules of shanghai" in checked.out
        said = machine.fails(3, "deploy")
        assert "ganache: cannot run code for shanghai" in said
        assert "use a node with the rules of shanghai" in said
        described = {"ENERGY_CHAIN_NETWORKS__GANACHE__EVM_VERSION": "london"}
        said = machine.fails(3, "deploy", **described)
        assert "the settings say london, and the contract needs shanghai or later" in said
        assert int(ask(node.url, "eth_blockNumber"), 16) == 0


# ------------------------------------------------------------------ accounts


def test_accounts_that_are_not_there_are_named(machine: Machine, market: str) -> None:  # noqa: ARG001
    assert "there is no account 'roof' in " in machine.fails(2, *PUT, "--account", "roof")
    stranger = "0x" + 40 * "a"
    assert "there is no key for 0x" in machine.fails(2, *PUT, "--account", stranger)
    assert "give dev0 to dev19" in machine.fails(2, *PUT, "--account", "dev20")
    assert "give --account NAME" in machine.fails(2, *PUT)
    machine.json(*PUT, "--account", "dev3")


def test_an_account_opens_only_with_its_passphrase_and_pays_with_its_own_ether(
    machine: Machine, market: str, ganache: Node
) -> None:
    assert market == machine.json("status")["contract"]
    file = machine.write("passphrase", "correct horse\n")
    given = "--account", "roof", "--passphrase-file", file
    roof = machine.json("accounts", "new", "roof", "--passphrase-file", file)["address"]

    file.write_text("wrong\n")
    assert "the passphrase of account 'roof' is wrong" in machine.fails(2, *PUT, *given)
    file.chmod(0o644)
    assert "chmod 600" in machine.fails(2, *PUT, *given)
    assert "no passphrase is given" in machine.fails(2, *PUT, "--account", "roof")

    assert "meter is not registered" in machine.fails(2, *PUT, "--account", "roof", **SECRET)
    machine.json("register", roof)
    before = blocks(ganache)
    said = machine.fails(3, *PUT, "--account", "roof", **SECRET)
    assert f"{roof} cannot pay for incomingRequest" in said
    assert "it has 0.000000 ether" in said
    assert blocks(ganache) == before


def test_the_accounts_of_everybody_sign_only_where_they_may(machine: Machine, market: str) -> None:
    earnest = {"ENERGY_CHAIN_NETWORKS__GANACHE__DEVELOPMENT": "false"}
    for account in ("dev3", DEV[3]):
        said = machine.fails(2, *PUT, "--account", account, **earnest)
        assert "is a development account and everybody has its key" in said
    assert "give --account NAME" in machine.fails(2, "pause", **earnest)
    assert "--aggregator is missing" in machine.fails(2, "deploy", **earnest)
    assert "not a development chain" in machine.fails(3, "demo", "--network", "ganache", **earnest)
    assert machine.json("status")["requests"]["posted"] == 0
    assert machine.json("status")["contract"] == market


# ------------------------------------------------------------------ transactions


def test_gas_above_the_ceiling_is_not_paid(machine: Machine, market: str, ganache: Node) -> None:  # noqa: ARG001
    before = blocks(ganache)
    # A wei: where blocks are nearly empty the price falls with every block, down to 7 wei.
    tiny = {"ENERGY_CHAIN_NETWORKS__GANACHE__FEE_CEILING_GWEI": "0.000000001"}
    for command in (("deploy",), ("pause",), (*PUT, "--account", "dev3")):
        said = machine.fails(3, *command, **tiny)
        assert "gwei on ganache, above the ceiling of 0.000000001" in said
        assert "raise fee_ceiling_gwei of network ganache" in said
    assert blocks(ganache) == before
    machine.json(*PUT, "--account", "dev3", "--network", "ganache")


def test_the_market_s_own_refusals_end_with_2(machine: Machine, market: str) -> None:  # noqa: ARG001
    refused = {
        (*PUT, "--account", "dev4"): "meter is not registered",
        (*PUT, "--meter", "dev3", "--account", "dev4"): "sender is not operator",
        ("register", "dev4", "--account", "dev4"): "sender may not register",
        ("pause", "--account", "dev3"): "sender is not the owner",
        ("unpause",): "market is not paused",
        ("retire", "dev4"): "meter is not registered",
        ("producer", "put", "0Wh", "--account", "dev3"): "value not 1..2**32-1 Wh",
        ("producer", "put", "1.5Wh", "--account", "dev3"): "give whole watt-hours",
        ("producer", "run", "--account", "dev3"): "orders of this market never expire",
    }
    for command, reason in refused.items():
        assert reason in machine.fails(2, *command)


@pytest.mark.usefixtures("ganache_installed")
def test_what_runs_ends_with_3_when_the_node_is_gone(tmp_path: Path) -> None:
    ganache = Ganache.start(GanacheSettings(port=free_port(), database=tmp_path / "chain"))
    try:
        machine = machine_of(ganache.url, tmp_path / "machine")
        machine.json("deploy")
        with machine.start("watch", "--every", "0.1", "--json") as watching:
            watching.json()
            ganache.stop()
            code, said = watching.ended()
    finally:
        ganache.stop()
    assert code == 3
    assert said.startswith("error: no usable answer to ")
    assert said.count("\n") == 1


def test_a_home_that_cannot_post_is_refused_before_anything_is_said(machine: Machine) -> None:
    machine.json("deploy")
    run = "producer", "run", "--account", "dev3"
    assert "there are no readings of 'nobody'" in machine.fails(2, *run, "--home", "nobody")
    night = "--start", "2026-06-21T23:45"
    assert "choose another --start" in machine.fails(2, *run, *night)
