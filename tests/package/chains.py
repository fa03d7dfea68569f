"""Who trades on the chains of the tests, and a market for them."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.sender import TransactionSender

ACCOUNTS = development_accounts(6)
OWNER, AGGREGATOR, OPERATOR, PRODUCER, CONSUMER, STRANGER = (a.address for a in ACCOUNTS)
PERIOD_LENGTH = 900
GENESIS_TIME = PERIOD_LENGTH * 1_888_889
PERIOD = timedelta(seconds=PERIOD_LENGTH)


def market_on(connection: Connection) -> ContractLedger:
    """A market with two meters, seen by its owner."""
    sender = TransactionSender(connection, ACCOUNTS)
    ledger = ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH)
    ledger.register_meters([PRODUCER, CONSUMER])
    return ledger


def unused_url() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def last_sent(node: Any) -> dict[str, Any]:
    return TypedTransaction.from_bytes(HexBytes(node.sent()[-1])).as_dict()
