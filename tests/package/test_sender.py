"""What a transaction may cost, who pays for it, and how deep it must lie before it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from eth_utils import keccak
from hexbytes import HexBytes

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import CALL_GAS, MATCH_GAS, ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.sender import GWEI, TIP, TransactionSender
from energy_chain.errors import (
    FeeAboveCeiling,
    NotTheOwner,
    OutOfFunds,
    ReceiptTimeout,
    TransactionFailed,
)
from tests.package.chains import ACCOUNTS, OWNER, STRANGER, last_sent, market_on

PAUPER = development_accounts(20)[19]
"""Owns no ether."""
ETHER = 10**18


def connect(node: Any, **settings: Any) -> Connection:
    return Connection.open(replace(network_at(node.url), **settings))


def as_on(connection: Connection, ledger: ContractLedger) -> ContractLedger:
    """The same market by way of another connection, acted on by its owner."""
    return ContractLedger(TransactionSender(connection, ACCOUNTS), ledger.address, OWNER)


def set_base_fee(node: Any, gwei: str | None) -> None:
    """The node says that its blocks have another base fee than they have, or none."""

    def block(params: list[Any]) -> Any:
        found = dict(node.on_chain("eth_getBlockByNumber", params)["result"])
        del found["baseFeePerGas"]
        if gwei is not None:
            found["baseFeePerGas"] = hex(int(Decimal(gwei) * GWEI))
        return {"result": found}

    node.replaced["eth_getBlockByNumber"] = block


# ------------------------------------------------------------------ fees


def test_nothing_is_sent_while_gas_costs_more_than_the_ceiling(node: Any, http: Connection) -> None:
    ledger = as_on(connect(node, fee_ceiling_gwei=Decimal("50.5")), market_on(http))
    sent = len(node.sent())
    set_base_fee(node, "50.500000001")
    with pytest.raises(
        FeeAboveCeiling,
        match=r"costs 50\.500000001 gwei on 127\.0\.0\.1:\d+, above the ceiling of 50\.5: "
        r"wait .*, or raise fee_ceiling_gwei of network 127\.0\.0\.1",
    ):
        ledger.pause()
    assert len(node.sent()) == sent
    assert not ledger.paused()
    # Once it is cheaper, calls go on.
    set_base_fee(node, "50.5")
    ledger.pause()
    assert len(node.sent()) == sent + 1
    assert ledger.paused()


@pytest.mark.parametrize(
    ("advice", "tip"),
    [
        ({"result": hex(30 * GWEI)}, 30 * GWEI),
        ({"result": "0x0"}, 0),
        ({"result": None}, TIP),
        ({"error": {"code": -32601, "message": "unknown method"}}, TIP),
    ],
)
def test_the_tip_is_what_the_node_advises_where_it_does(
    node: Any, http: Connection, advice: dict[str, Any], tip: int
) -> None:
    node.replaced["eth_maxPriorityFeePerGas"] = lambda _: advice
    as_on(connect(node, development=False), market_on(http)).pause()
    base_fee = http.w3.eth.get_block(http.w3.eth.block_number - 1)["baseFeePerGas"]
    assert last_sent(node)["maxPriorityFeePerGas"] == tip
    assert last_sent(node)["maxFeePerGas"] == 2 * base_fee + tip


def test_no_advice_is_asked_for_on_a_development_chain(node: Any, http: Connection) -> None:
    market_on(http).pause()
    assert "eth_maxPriorityFeePerGas" not in node.methods()


@pytest.mark.parametrize(
    ("base_fee", "ceiling", "most", "tip"),
    [
        ("30", None, 61 * GWEI, TIP),
        ("30", "100", 61 * GWEI, TIP),
        ("30", "61", 61 * GWEI, TIP),
        ("30", "50", 50 * GWEI, TIP),
        ("30", "30", 30 * GWEI, TIP),
        # A tip above the whole price would be refused by every node.
        ("0.9", "0.95", 950_000_000, 950_000_000),
    ],
)
def test_no_more_than_the_ceiling_is_offered(
    node: Any, http: Connection, base_fee: str, ceiling: str | None, most: int, tip: int
) -> None:
    limit = None if ceiling is None else Decimal(ceiling)
    ledger = as_on(connect(node, fee_ceiling_gwei=limit), market_on(http))
    set_base_fee(node, base_fee)
    ledger.pause()
    sent = last_sent(node)
    assert (sent["maxFeePerGas"], sent["maxPriorityFeePerGas"]) == (most, tip)
    assert ledger.paused()


def test_the_ceiling_holds_for_chains_without_a_base_fee(node: Any, http: Connection) -> None:
    ledger = as_on(connect(node, fee_ceiling_gwei=Decimal(50)), market_on(http))
    sent = len(node.sent())
    set_base_fee(node, None)
    node.replaced["eth_gasPrice"] = lambda _: {"result": hex(50 * GWEI + 1)}
    with pytest.raises(FeeAboveCeiling, match="above the ceiling of 50: "):
        ledger.pause()
    assert len(node.sent()) == sent
    node.replaced["eth_gasPrice"] = lambda _: {"result": hex(50 * GWEI)}
    ledger.pause()
    assert ledger.paused()
    assert HexBytes(node.sent()[-1])[0] >= 0xC0  # a list: of no type


def test_a_deployment_is_not_sent_above_the_ceiling_either(node: Any) -> None:
    connection = connect(node, fee_ceiling_gwei=Decimal("0.001"))
    with pytest.raises(FeeAboveCeiling):
        market_on(connection)
    assert node.sent() == []


# ------------------------------------------------------------------ funds


def of_the_pauper(node: Any, ledger: ContractLedger, **settings: Any) -> ContractLedger:
    sender = TransactionSender(connect(node, **settings), [PAUPER])
    return ContractLedger(sender, ledger.address, PAUPER.address)


@pytest.mark.parametrize("simulate", [False, True])
@pytest.mark.parametrize("wei", [0, 12 * 10**12])
def test_who_cannot_pay_is_told_what_is_missing(
    node: Any, http: Connection, simulate: bool, wei: int
) -> None:
    ledger = market_on(http)
    if wei:
        ledger._sender.send(OWNER, PAUPER.address, "0x", 21_000, "funding", wei)
    set_base_fee(node, "30")
    has, needs = f"{wei / ETHER:.6f}", f"{(CALL_GAS + MATCH_GAS) * 61 * GWEI / ETHER:.6f}"
    assert needs == "0.012810"
    with pytest.raises(
        OutOfFunds,
        match=f"^{PAUPER.address} cannot pay for match_pending.*: it has {has} ether of the "
        rf"{needs} that may be needed on 127\.0\.0\.1:\d+; "
        f"energy-chain accounts fund {PAUPER.address}$",
    ):
        of_the_pauper(node, ledger, simulate=simulate).match_pending(1)
    assert http.balance(PAUPER.address) == wei


def test_the_words_of_the_node_do_not_matter(node: Any, http: Connection) -> None:
    ledger = of_the_pauper(node, market_on(http), simulate=False)
    for words in "Saldo nicht ausreichend", "nonce too low", "":
        node.replaced["eth_sendRawTransaction"] = lambda _, words=words: {
            "error": {"code": -32003, "message": words}
        }
        with pytest.raises(OutOfFunds, match=r"it has 0\.000000 ether of the"):
            ledger.match_pending(1)


def test_who_can_pay_is_told_what_the_node_said(node: Any, http: Connection) -> None:
    ledger = market_on(http)
    node.replaced["eth_sendRawTransaction"] = lambda _: {
        "error": {"code": -32003, "message": "Saldo nicht ausreichend"}
    }
    with pytest.raises(TransactionFailed, match=r"the node refused pause.*Saldo"):
        ledger.pause()


@pytest.mark.parametrize("simulate", [False, True])
def test_more_ether_than_there_is_cannot_be_moved(node: Any, simulate: bool) -> None:
    connection = connect(node, simulate=simulate)
    sender, balance = TransactionSender(connection, ACCOUNTS), connection.balance(OWNER)
    with pytest.raises(OutOfFunds, match=r"cannot pay for funding: it has 1000000\.000000 ether"):
        sender.send(OWNER, STRANGER, "0x", 21_000, "funding", balance)
    assert connection.balance(OWNER) == balance
    sender.send(OWNER, STRANGER, "0x", 21_000, "funding", ETHER)
    assert connection.balance(STRANGER) == balance + ETHER


def test_who_gets_ether_can_go_on(node: Any, http: Connection) -> None:
    ledger = market_on(http)
    pauper = of_the_pauper(node, ledger)
    with pytest.raises(OutOfFunds):
        pauper.match_pending(1)
    ledger._sender.send(OWNER, PAUPER.address, "0x", 21_000, "funding", ETHER)
    assert pauper.match_pending(1).fills == ()
    assert last_sent(node)["nonce"] == 0


def test_a_refusal_of_the_market_goes_before_what_it_would_cost(
    node: Any, http: Connection
) -> None:
    ledger = as_on(connect(node, fee_ceiling_gwei=Decimal(1)), market_on(http))
    set_base_fee(node, "2")
    with pytest.raises(NotTheOwner):
        ledger.as_account(STRANGER).pause()


# ------------------------------------------------------------------ confirmations


def mine_when_asked(node: Any) -> None:
    """Each look at the number of the latest block finds another one."""

    def number(params: list[Any]) -> Any:
        node.on_chain("evm_mine", [])
        return node.on_chain("eth_blockNumber", params)

    node.replaced["eth_blockNumber"] = number


@pytest.mark.parametrize("confirmations", [1, 3])
def test_a_transaction_counts_once_it_has_its_confirmations(
    node: Any, http: Connection, confirmations: int
) -> None:
    ledger = as_on(connect(node, confirmations=confirmations), market_on(http))
    mine_when_asked(node)
    block = ledger.pause().block
    del node.replaced["eth_blockNumber"]
    assert block is not None
    assert http.w3.eth.block_number == block + confirmations


def test_without_confirmations_nothing_is_waited_for(node: Any, http: Connection) -> None:
    ledger = market_on(http)
    node.asked.clear()
    ledger.pause()
    assert "eth_blockNumber" not in node.methods()
    assert ledger.paused()


def test_a_transaction_that_is_not_confirmed_in_time_is_named(node: Any, http: Connection) -> None:
    ledger = as_on(connect(node, confirmations=2, receipt_timeout=0.1), market_on(http))
    with pytest.raises(
        ReceiptTimeout,
        match=r"pause\(\) was not seen mined and confirmed 2 times in time: it is in the",
    ) as error:
        ledger.pause()
    assert HexBytes(keccak(HexBytes(node.sent()[-1]))).to_0x_hex() in str(error.value)
    # It was mined; what comes next takes the next nonce.
    assert ledger.paused()
    nonce = last_sent(node)["nonce"]
    mine_when_asked(node)
    as_on(connect(node, confirmations=2), ledger).unpause()
    assert last_sent(node)["nonce"] == nonce + 1


def elsewhere(node: Any, looks: int) -> Callable[[list[Any]], Any]:
    """For so many looks, the transaction is in a block that is no part of the chain."""

    def receipt(params: list[Any]) -> Any:
        reply = node.on_chain("eth_getTransactionReceipt", params)
        if node.methods().count("eth_getTransactionReceipt") > looks:
            return reply
        return {"result": {**reply["result"], "blockHash": "0x" + "ab" * 32}}

    return receipt


def test_a_reorganisation_of_the_chain_is_waited_out(node: Any, http: Connection) -> None:
    ledger = as_on(connect(node, confirmations=1), market_on(http))
    mine_when_asked(node)
    node.asked.clear()
    node.replaced["eth_getTransactionReceipt"] = elsewhere(node, looks=2)
    receipt = ledger.pause()
    assert node.methods().count("eth_getTransactionReceipt") == 3
    assert (
        receipt.block
        == http.w3.eth.get_transaction_receipt(HexBytes(receipt.transaction))["blockNumber"]
    )
    assert len(node.sent()) == 1


def test_another_block_at_that_height_is_no_confirmation(node: Any, http: Connection) -> None:
    ledger = as_on(connect(node, confirmations=1, receipt_timeout=0.2), market_on(http))
    mine_when_asked(node)
    sent = len(node.sent())

    def replaced_block(params: list[Any]) -> Any:
        reply = node.on_chain("eth_getBlockByNumber", params)
        if params[0] in ("0x0", "latest"):
            return reply
        return {"result": {**reply["result"], "hash": "0x" + "cd" * 32}}

    node.replaced["eth_getBlockByNumber"] = replaced_block
    with pytest.raises(ReceiptTimeout, match="confirmed 1 times in time") as error:
        ledger.pause()
    assert len(node.sent()) == sent + 1
    assert HexBytes(keccak(HexBytes(node.sent()[-1]))).to_0x_hex() in str(error.value)
    assert node.methods().count("eth_getTransactionReceipt") < 100  # nor is it asked without a rest


def test_a_transaction_that_a_reorganisation_dropped_is_named(node: Any, http: Connection) -> None:
    ledger = as_on(connect(node, confirmations=1, receipt_timeout=0.3), market_on(http))
    mine_when_asked(node)
    node.asked.clear()
    once = elsewhere(node, looks=1)

    def dropped(params: list[Any]) -> Any:
        first = node.methods().count("eth_getTransactionReceipt") == 1
        return once(params) if first else {"result": None}

    node.replaced["eth_getTransactionReceipt"] = dropped
    with pytest.raises(ReceiptTimeout, match="was not seen mined and confirmed") as error:
        ledger.pause()
    assert HexBytes(keccak(HexBytes(node.sent()[-1]))).to_0x_hex() in str(error.value)
