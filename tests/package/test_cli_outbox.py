"""`energy-chain outbox`, on a node of this process."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from energy_chain.folders import home_folder
from tests.package.test_outbox import Pool


@pytest.fixture
def stuck(neighbourhood: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """An offer of dev3 that the node keeps to itself."""
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__RECEIPT_TIMEOUT", "0.05")
    pool = Pool(neighbourhood.node)
    ended = run("producer", "put", "250Wh", "--account", "dev3")
    assert ended.code == 3
    assert "it is in the outbox as transaction 0x" in ended.err
    assert "energy-chain outbox finish" in ended.err
    return pool


def test_nothing_is_under_way_at_first(neighbourhood: Any, run: Any) -> None:  # noqa: ARG001
    ended = run("outbox", "show")
    assert (ended.code, ended.out) == (0, "Nothing is under way on ganache.\n")
    assert json.loads(run("outbox", "show", "--json").out) == []


def test_what_is_under_way_is_shown(neighbourhood: Any, run: Any, stuck: Pool) -> None:
    ended = run("outbox", "show")
    (transaction,) = stuck.held
    for said in (neighbourhood.dev[3], "incomingRequest", "open", transaction):
        assert said in ended.out
    (told,) = json.loads(run("outbox", "show", "--json").out)
    assert (told["state"], told["nonce"], told["attempts"]) == ("open", 0, [transaction])
    status = json.loads(run("status", "--json").out)
    assert (status["under_way"], status["under_way_since"]) == (1, told["created_at"])
    assert "1 transaction of this machine" in run("status").out


def test_what_is_under_way_is_finished(neighbourhood: Any, run: Any, stuck: Pool) -> None:
    ended = run("outbox", "finish", "--for", 0)
    assert ended.code == 3
    assert "1 transaction under way." in ended.out
    stuck.let_go()
    ended = run("outbox", "finish", "--for", 30, "--json")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert (told["under_way"], told["without_key"]) == (0, [])
    assert [each["state"] for each in told["transactions"]] == ["mined"]
    assert neighbourhood.by(3).requests_outstanding() == 1
    assert "mined" in run("outbox", "show", "--all").out
    assert "Nothing is under way" in run("outbox", "show").out


def test_what_is_kept_here_is_shown_without_a_node(
    neighbourhood: Any, run: Any, stuck: Pool
) -> None:
    (transaction,) = stuck.held
    neighbourhood.node.replaced["eth_chainId"] = lambda _: HTTPStatus.SERVICE_UNAVAILABLE
    ended = run("outbox", "show")
    assert ended.code == 0
    assert "no usable answer to eth_chainId" in ended.err
    assert "shown is what is kept here" in ended.err
    assert transaction in ended.out
    (told,) = json.loads(run("outbox", "show", "--json").out)
    assert (told["this_chain"], told["attempts"]) == (None, [transaction])
    assert run("outbox", "finish").code == 3


def test_what_was_sent_to_a_chain_that_is_lost_is_shown_apart(
    neighbourhood: Any, run: Any, stuck: Pool
) -> None:
    (transaction,) = stuck.held
    (lost,) = (home_folder() / "outbox").glob("*.sqlite")
    node = neighbourhood.node

    def anew(params: list[Any]) -> Any:
        answer = node.on_chain("eth_getBlockByNumber", params)
        return {"result": {**answer["result"], "hash": "0x" + "ab" * 32}}

    node.replaced["eth_getBlockByNumber"] = anew
    ended = run("outbox", "show")
    assert ended.out.startswith("Nothing is under way on ganache.\nOn another chain than that of")
    assert lost.name in ended.out.replace("\n", "")
    assert transaction in ended.out
    (told,) = json.loads(run("outbox", "show", "--json").out)
    assert (told["this_chain"], told["outbox"]) == (False, str(lost))
    ended = run("outbox", "finish", "--for", 0, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["elsewhere"] == {str(lost): 1}
    assert "1 transaction under way on another chain" in run("outbox", "finish", "--for", 0).out
