"""What a chain says of its blocks, as far as a market's record needs it.

Plain data without web3: whatever keeps a market can tell its blocks this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from energy_chain.chain.addresses import checksummed
from energy_chain.errors import ContradictoryChain
from energy_chain.market import Address

MAX_GAS_PRICE = 2**63 - 1
"""Wei a unit of gas: nine ether, and what a database's integers hold."""


@dataclass(frozen=True, slots=True)
class MinedLog:
    """One log of the contract.

    Attributes:
        index: its place among all logs of its block.
        topics: words of 32 bytes.
        data: what is not in the topics.
    """

    index: int
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction that made the contract log something.

    Attributes:
        position: its place in its block.
        hash: 0x and 64 hexadecimal digits.
        sender: who signed it, and paid.
        gas_used: units of gas.
        gas_price: wei paid for each of them.
        logs: those of the contract, in order.
    """

    position: int
    hash: str
    sender: Address
    gas_used: int
    gas_price: int
    logs: tuple[MinedLog, ...]


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A block in which the contract logged something.

    Attributes:
        number: its number.
        hash: 0x and 64 hexadecimal digits.
        timestamp: Unix seconds.
        transactions: those that made the contract log something, in order.
    """

    number: int
    hash: str
    timestamp: int
    transactions: tuple[MinedTransaction, ...]


def parse_receipts(
    receipts: Sequence[Mapping[str, Any]], contract: Address
) -> tuple[MinedTransaction, ...]:
    """The transactions of one block in which a contract logged something.

    Args:
        receipts: as `eth_getTransactionReceipt` answers in JSON.
        contract: its address.

    Raises:
        ContradictoryChain: they are no receipts.
    """
    wanted = contract.lower()
    found = []
    try:
        for receipt in receipts:
            logs = [
                MinedLog(
                    int(log["logIndex"], 16),
                    tuple([bytes.fromhex(topic[2:]) for topic in log["topics"]]),
                    bytes.fromhex(log["data"][2:]),
                )
                for log in receipt["logs"]
                if log["address"].lower() == wanted
            ]
            if logs:
                price = int(receipt["effectiveGasPrice"], 16)
                if price > MAX_GAS_PRICE:
                    raise ValueError
                found.append(
                    MinedTransaction(
                        position=int(receipt["transactionIndex"], 16),
                        hash=receipt["transactionHash"].lower(),
                        sender=checksummed(receipt["from"]),
                        gas_used=int(receipt["gasUsed"], 16),
                        gas_price=price,
                        logs=tuple(logs),
                    )
                )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ContradictoryChain(
            "the node's receipts cannot be read: ask a node that serves effectiveGasPrice"
        ) from None
    return tuple(sorted(found, key=lambda transaction: transaction.position))


def numbered(
    transactions: Sequence[MinedTransaction], places: Mapping[str, Sequence[int]]
) -> tuple[MinedTransaction, ...]:
    """Transactions of one block whose logs have the places that the block's log says.

    The receipts of Ganache 7.9.2 count the logs of each transaction from 0, while its log counts
    those of the block, as Ethereum's execution API has it.

    Args:
        transactions: of one block.
        places: of the logs of each transaction, by its hash.

    Raises:
        ContradictoryChain: a transaction has more or fewer logs than places.
    """
    try:
        return tuple(
            replace(
                transaction,
                logs=tuple(
                    replace(log, index=place)
                    for log, place in zip(
                        transaction.logs, sorted(places[transaction.hash]), strict=True
                    )
                ),
            )
            for transaction in transactions
        )
    except (KeyError, ValueError):
        raise ContradictoryChain(
            "logs and receipts of a block do not fit together: the chain was reorganised "
            "meanwhile, or the node leaves something out; try again"
        ) from None
