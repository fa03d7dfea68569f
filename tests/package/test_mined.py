"""Blocks of a chain as a record wants them: the same in this process and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.event_codec import decode
from energy_chain.chain.mined import MAX_GAS_PRICE, parse_receipts
from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import ContradictoryChain
from energy_chain.events import Receipt
from tests.package.chains import ACCOUNTS
from tests.package.conftest import Node

OWNER, OPERATOR, METER = (account.address for account in ACCOUNTS[:3])


def deployed(connection: Connection) -> ContractLedger:
    sender = TransactionSender(connection, ACCOUNTS)
    return ContractLedger.deploy(sender, OWNER, OWNER, OPERATOR, 900)


def traded(ledger: ContractLedger) -> list[Receipt]:
    operator, meter = ledger.as_account(OPERATOR), ledger.as_account(METER)
    return [operator.register_meters([METER]), meter.post_request(METER, 7)]


def test_blocks_tell_transactions_their_gas_and_their_logs(connection: Connection) -> None:
    ledger = deployed(connection)
    receipts = traded(ledger)
    _, *blocks = ledger.mined(ledger.first_block, receipts[-1].block)
    for receipt, block in zip(receipts, blocks, strict=True):
        assert block.number == receipt.block
        assert ledger.header(block.number) == (block.hash, block.timestamp)
        (transaction,) = block.transactions
        assert (transaction.hash, transaction.gas_used) == (receipt.transaction, receipt.gas_used)
        told = connection.w3.eth.get_transaction_receipt(transaction.hash)  # type: ignore[arg-type]
        assert transaction.sender == told["from"]
        assert transaction.gas_price == told["effectiveGasPrice"]
        logs = tuple(decode(log.topics, log.data) for log in transaction.logs)
        assert logs == receipt.events
        assert [log.index for log in transaction.logs] == list(range(len(logs)))


def test_logs_have_the_places_that_the_block_gives_them(http: Connection, node: Node) -> None:
    """The receipts of Ganache 7.9.2 count the logs of each transaction from 0."""
    ledger = deployed(http)
    last = traded(ledger)[-1].block

    def miscounted(params: list[Any]) -> Any:
        receipt = node.on_chain("eth_getTransactionReceipt", params)["result"]
        return {
            "result": {**receipt, "logs": [{**log, "logIndex": "0x0"} for log in receipt["logs"]]}
        }

    node.replaced["eth_getTransactionReceipt"] = miscounted
    *_, block = ledger.mined(last, last)
    (transaction,) = block.transactions
    assert [log.index for log in transaction.logs] == [0, 1]  # the period, and the order


def test_the_chain_has_no_header_of_a_block_to_come(connection: Connection) -> None:
    ledger = deployed(connection)
    assert ledger.header(ledger.latest()[0] + 1) is None


def test_what_others_log_is_left_out(connection: Connection) -> None:
    ledger, other = deployed(connection), deployed(connection)
    traded(other)
    assert [block.number for block in ledger.mined(0, ledger.latest()[0])] == [ledger.first_block]


def test_a_node_without_receipts_of_blocks_is_asked_for_each(http: Connection, node: Node) -> None:
    ledger = deployed(http)
    receipts = traded(ledger)
    node.replaced["eth_getBlockReceipts"] = lambda _: {"error": {"code": -32601, "message": "no"}}
    block = receipts[-1].block
    hashes = [receipts[-1].transaction] * 4
    assert len(http.receipts(block, hashes)) == 4
    assert len(http.receipts(block, hashes)) == 4
    assert node.methods().count("eth_getBlockReceipts") == 1


def test_a_receipt_that_is_gone_is_a_contradiction(http: Connection, node: Node) -> None:
    ledger = deployed(http)
    node.replaced["eth_getTransactionReceipt"] = lambda _: {"result": None}
    with pytest.raises(ContradictoryChain, match="has no receipt of 0x"):
        list(ledger.mined(0, ledger.latest()[0]))


@pytest.mark.parametrize("field", ["blockHash", "logs"])
def test_receipts_of_another_chain_than_the_logs_are_a_contradiction(
    http: Connection, node: Node, field: str
) -> None:
    ledger = deployed(http)
    other: Any = {"blockHash": "0x" + "7" * 64, "logs": []}[field]

    def altered(params: list[Any]) -> Any:
        answer: Any = node.on_chain("eth_getTransactionReceipt", params)
        answer["result"][field] = other
        return answer

    node.replaced["eth_getTransactionReceipt"] = altered
    with pytest.raises(ContradictoryChain, match="are not of one chain"):
        list(ledger.mined(0, ledger.latest()[0]))


RECEIPT = {
    "transactionIndex": "0x0",
    "transactionHash": "0xAB",
    "from": OWNER.lower(),
    "gasUsed": "0x5208",
    "effectiveGasPrice": "0x1",
    "logs": [{"address": METER.lower(), "logIndex": "0x2", "topics": ["0x01"], "data": "0x02"}],
}


def test_receipts_are_told_in_the_order_of_the_block() -> None:
    later = {**RECEIPT, "transactionIndex": "0x10"}
    found = parse_receipts([later, RECEIPT], METER)
    assert [transaction.position for transaction in found] == [0, 16]
    assert (found[0].hash, found[0].sender, found[0].gas_used) == ("0xab", OWNER, 21_000)


@pytest.mark.parametrize(
    "altered",
    [
        {"effectiveGasPrice": None},
        {"effectiveGasPrice": hex(MAX_GAS_PRICE + 1)},
        {"from": "nobody"},
        {"gasUsed": "many"},
        {"logs": [{}]},
    ],
)
def test_receipts_that_cannot_be_read_are_refused(altered: dict[str, Any]) -> None:
    with pytest.raises(ContradictoryChain, match="serves effectiveGasPrice"):
        parse_receipts([{**RECEIPT, **altered}], METER)
