"""Which market stands where: what is remembered, and when it is not believed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain import deployments
from energy_chain.chain.artifact import Artifact, load_artifact
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import IMMUTABLES, ContractLedger
from energy_chain.chain.deployments import Deployment, deployments_file, recall, remember
from energy_chain.chain.networks import EMBEDDED
from energy_chain.errors import InvalidInput, NotOurContract
from tests.package.chains import (
    ACCOUNTS,
    AGGREGATOR,
    GENESIS_TIME,
    OPERATOR,
    OWNER,
    PRODUCER,
    market_on,
)


@pytest.fixture(scope="module")
def ledger() -> ContractLedger:
    """A market that no test of this module changes."""
    connection = Connection.open(EMBEDDED, [a.address for a in ACCOUNTS], GENESIS_TIME)
    return market_on(connection)


@pytest.fixture
def connection(ledger: ContractLedger, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """The chain of that market; what a test sets on it is gone afterwards."""
    connection = ledger._connection
    for name in "chain_id", "network":
        monkeypatch.setattr(connection, name, getattr(connection, name))
    return connection


def change(**fields: Any) -> None:
    """Changes what is written in the file about every market."""
    known = json.loads(deployments_file().read_text())
    changed = {
        chain_id: [{**each, **fields} for each in these] for chain_id, these in known.items()
    }
    deployments_file().write_text(json.dumps(changed))


def test_nothing_is_known_of_a_chain_on_which_nothing_was_deployed(
    connection: Connection, ledger: ContractLedger
) -> None:
    assert not deployments_file().exists()
    assert recall(connection) is None
    assert not deployments_file().exists()  # looking writes nothing
    remember(connection, ledger)
    connection.chain_id = 5
    assert recall(connection) is None


def test_what_was_deployed_is_known_again(connection: Connection, ledger: ContractLedger) -> None:
    remembered = remember(connection, ledger)
    artifact = load_artifact()
    assert remembered == Deployment(
        network="embedded",
        address=ledger.address,
        block=1,
        code_hash=artifact.code_hash,
        abi_hash=artifact.abi_hash,
        genesis=connection.genesis(),
    )
    found = recall(connection)
    assert found == remembered
    again = ContractLedger(ledger._sender, found.address, OWNER, found.block)
    assert list(again.history()) == list(ledger.history())
    assert again.meter(PRODUCER) is not None


def test_the_file_stands_in_the_home_folder_and_alone(
    connection: Connection, ledger: ContractLedger, own_home: Path
) -> None:
    remember(connection, ledger)
    remember(connection, ledger)
    assert [path.name for path in own_home.iterdir()] == ["deployments.json"]
    assert deployments_file().parent == own_home


def test_chains_are_told_apart_by_their_id(connection: Connection, ledger: ContractLedger) -> None:
    first = remember(connection, ledger)
    chain_id, connection.chain_id = connection.chain_id, 5
    connection.network = replace(connection.network, name="pilot", chain_id=None, url="http://x")
    second = remember(connection, ledger)
    assert (first.network, second.network) == ("embedded", "pilot")
    assert recall(connection) == second
    connection.chain_id = chain_id
    assert recall(connection) == first


def test_the_latest_market_of_a_chain_counts(ledger: ContractLedger) -> None:
    connection = Connection.open(EMBEDDED, [OWNER], GENESIS_TIME)
    sender = ledger._sender.__class__(connection, ACCOUNTS[:1])
    older, newer = (
        ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, period) for period in (60, 900)
    )
    remember(connection, older)
    remember(connection, newer)
    found = recall(connection)
    assert found is not None
    assert (found.address, found.block) == (newer.address, 2)
    assert found.address != older.address


def test_each_name_of_a_chain_has_its_own_market(
    connection: Connection, ledger: ContractLedger
) -> None:
    """As a pilot and a demo on one Ganache have."""
    ours = remember(connection, ledger)
    connection.network = replace(connection.network, name="pilot", chain_id=None, url="http://x")
    assert recall(connection) == ours  # while it has none of its own
    theirs = remember(connection, ledger)
    assert recall(connection) == theirs
    connection.network = EMBEDDED
    assert recall(connection) == ours


def test_chains_with_one_id_do_not_take_each_others_markets_away(
    connection: Connection, ledger: ContractLedger
) -> None:
    """As two Ganaches have."""
    ours = remember(connection, ledger)
    other = Connection.open(EMBEDDED, [OWNER], GENESIS_TIME + 1)
    sender = ledger._sender.__class__(other, ACCOUNTS[:1])
    theirs = remember(other, ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, 60))
    assert recall(connection) == ours
    assert recall(other) == theirs


def test_a_market_of_a_chain_that_has_begun_anew_is_not_believed(
    connection: Connection, ledger: ContractLedger
) -> None:
    remember(connection, ledger)
    anew = Connection.open(EMBEDDED, [OWNER], GENESIS_TIME + 1)
    assert anew.chain_id == connection.chain_id
    with pytest.raises(
        NotOurContract,
        match=f"{ledger.address}, deployed on embedded, is on another chain {anew.chain_id} than "
        "embedded, or embedded has begun anew since: deploy one with energy-chain deploy --network "
        "embedded",
    ):
        recall(anew)
    assert recall(connection) is not None


@pytest.mark.parametrize("field", ["code_hash", "abi_hash"])
def test_a_market_of_another_version_is_not_believed(
    connection: Connection, ledger: ContractLedger, field: str
) -> None:
    remember(connection, ledger)
    change(**{field: "00" * 32})
    with pytest.raises(
        NotOurContract, match=f"{ledger.address} on embedded is another version of the contract"
    ):
        recall(connection)
    remember(connection, ledger)
    assert recall(connection) is not None


MALFORMED = [
    b"",
    b"{",
    b"null",
    b"5",
    b"[]",
    b"\xff\xfe\x00",
    b'{"1337": null}',
    b'{"1337": 5}',
    b'{"1337": {}}',
    b'{"1337": {"address": "0x00"}}',
    b'{"1337": [{"address": "0x00"}]}',
    b'{"1337": [{"network": "", "address": "", "block": 1, "code_hash": "", "abi_hash": "", '
    b'"genesis": "", "more": ""}]}',
]


@pytest.mark.parametrize("content", MALFORMED, ids=repr)
def test_a_file_of_something_else_is_refused_and_kept(
    connection: Connection, ledger: ContractLedger, content: bytes
) -> None:
    deployments_file().parent.mkdir()
    deployments_file().write_bytes(content)
    with pytest.raises(InvalidInput, match=r"deployments\.json is no file of deployments: correct"):
        recall(connection)
    with pytest.raises(InvalidInput, match=f"no file of deployments.*--contract {ledger.address}"):
        remember(connection, ledger)
    assert deployments_file().read_bytes() == content


def test_where_the_file_cannot_be_read_the_address_is_told(
    connection: Connection, ledger: ContractLedger, own_home: Path
) -> None:
    own_home.write_text("a file where a folder should be")
    with pytest.raises(InvalidInput, match=r"deployments\.json cannot be read \(Not a directory\)"):
        recall(connection)
    with pytest.raises(InvalidInput, match=f"is deployed at {ledger.address}; give --contract"):
        remember(connection, ledger)


def test_where_the_file_cannot_be_written_the_address_is_told(
    connection: Connection, ledger: ContractLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = remember(connection, ledger)

    def full(*_: Any) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(deployments, "write_whole", full)
    with pytest.raises(
        InvalidInput,
        match=r"deployments\.json cannot be written \(No space left on device\): the market is "
        f"deployed at {ledger.address}; give --contract {ledger.address} to use it",
    ):
        remember(connection, ledger)
    assert recall(connection) == before


class Chain:
    """What `remember` asks of a connection, of any thread."""

    network = EMBEDDED

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id

    def genesis(self) -> str:
        return "0x" + "ab" * 32


def test_who_reads_meanwhile_finds_the_whole_file(ledger: ContractLedger) -> None:
    def write(chain_id: int) -> None:
        for _ in range(30):
            remember(Chain(chain_id), ledger)  # type: ignore[arg-type]

    remember(Chain(1), ledger)  # type: ignore[arg-type]
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, 1) for _ in range(3)]
        looks = 0
        while not all(writer.done() for writer in writers):
            found = recall(Chain(1))  # type: ignore[arg-type]
            assert found is not None
            assert found.address == ledger.address
            looks += 1
    for writer in writers:
        writer.result()
    assert looks > 0
    assert [path.name for path in deployments_file().parent.iterdir()] == ["deployments.json"]


def test_the_hashes_are_those_of_the_contract(ledger: ContractLedger) -> None:
    artifact: Artifact = load_artifact()
    assert {len(artifact.code_hash), len(artifact.abi_hash)} == {64}
    assert artifact.code_hash != artifact.abi_hash
    code = ledger._connection.w3.eth.get_code(ledger.address)  # type: ignore[arg-type]
    assert (
        replace(artifact, runtime="0x" + code[:-IMMUTABLES].hex()).code_hash == artifact.code_hash
    )
