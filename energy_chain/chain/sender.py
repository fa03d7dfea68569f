"""Transactions: signed here, sent, waited for, and their refusals translated.

Gas and fees are always explicit. A refusal of the contract becomes the
`MarketRefusal` of its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from time import monotonic, sleep
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import (
    ContractLogicError,
    TimeExhausted,
    TransactionNotFound,
    Web3Exception,
)
from web3.types import TxParams, TxReceipt

from energy_chain.chain.connection import Connection
from energy_chain.errors import (
    REFUSALS,
    ChainError,
    FeeAboveCeiling,
    InvalidInput,
    MarketRefusal,
    OutOfFunds,
    ReceiptTimeout,
    TransactionFailed,
)
from energy_chain.market import Address

GWEI = 10**9
TIP = GWEI
"""Wei a unit of gas offered to whoever builds the block, where the node advises nothing."""
FAST_POLL, POLL = 0.05, 1.0
"""Seconds between two looks for a receipt, on a development chain and on others."""
ERROR_STRING = HexBytes("0x08c379a0")
"""Selector of Error(string), in which Solidity and Vyper revert with a reason."""


class TransactionSender:
    """Sends transactions of the accounts whose keys it holds.

    Nonces are counted here, from what the chain says first, so that calls in
    quick succession do not meet. One process uses one sender for an account.
    """

    def __init__(self, connection: Connection, accounts: Iterable[LocalAccount]) -> None:
        self.connection = connection
        self._accounts = {str(account.address): account for account in accounts}
        self._nonces: dict[Address, int] = {}

    def __repr__(self) -> str:
        count, name = len(self._accounts), self.connection.network.name
        return f"<TransactionSender of {count} accounts on {name}>"

    def send(
        self,
        sender: Address,
        to: Address | None,
        data: str,
        gas: int,
        call: str,
        value: int = 0,
        announce: Callable[[str], None] = lambda _: None,
    ) -> TxReceipt:
        """Sends one transaction and waits until it is mined.

        Args:
            sender: whose key signs.
            to: the contract; None deploys.
            data: the call, or the code to deploy, in hexadecimal.
            gas: the most it may use.
            call: what people call it, for errors.
            value: wei to move.
            announce: is told the transaction's hash before it is sent; once more if it has to be
                signed anew, because nothing came of the one before.

        Raises:
            InvalidInput: there is no key for `sender`.
            MarketRefusal: the contract refused it.
            TransactionFailed: the node refused it, or it had no effect.
            OutOfFunds: `sender` cannot pay for it; nothing was sent.
            FeeAboveCeiling: gas costs more than the network's ceiling; nothing was sent.
            ReceiptTimeout: it was sent, but not seen mined in time; it may be mined later.
            NodeUnreachable: nobody answers; nothing was sent.
        """
        account = self._accounts.get(sender)
        if account is None:
            raise InvalidInput(f"there is no key for {sender}: give the account that sends {call}")
        transaction: TxParams = {"from": sender, "data": data, "gas": gas, "value": value}  # type: ignore[typeddict-item]
        if to is not None:
            transaction["to"] = to
        if self.connection.network.simulate:
            try:
                self._simulate(transaction, call)
            except TransactionFailed:
                self._check_funds({**transaction, **self._fees()}, sender, call)
                raise
        receipt = self._send_and_wait(account, transaction, call, announce)
        if receipt["status"] != 1:
            self._simulate(transaction, call)
            raise TransactionFailed(
                f"{call} was mined without effect, using {receipt['gasUsed']} of {gas} gas: "
                "try again, and report it if it happens twice"
            )
        return receipt

    def _send_and_wait(
        self,
        account: LocalAccount,
        transaction: TxParams,
        call: str,
        announce: Callable[[str], None],
    ) -> TxReceipt:
        w3, sender = self.connection.w3, account.address
        if sender not in self._nonces:
            self._nonces[sender] = w3.eth.get_transaction_count(sender, "pending")
        fields: dict[str, Any] = {
            key: field for key, field in transaction.items() if key != "from"
        } | {"nonce": self._nonces[sender], "chainId": self.connection.chain_id, **self._fees()}
        signed = account.sign_transaction(fields)
        announce(signed.hash.to_0x_hex())
        try:
            w3.eth.send_raw_transaction(signed.raw_transaction)
        except ChainError as error:
            raise self._lost(signed.hash, sender, call, error) from error
        except (Web3Exception, ValueError) as error:
            self._nonces.pop(sender, None)
            if self._is_taken(fields["nonce"], sender, signed.hash):
                return self._send_and_wait(account, transaction, call, announce)
            self._check_funds(fields, sender, call)
            raise refusal(error, call) from error
        self._nonces[sender] += 1
        try:
            return self._confirmed(signed.hash)
        except TimeExhausted as error:
            network = self.connection.network
            confirmed = f" and confirmed {network.confirmations} times" * bool(
                network.confirmations
            )
            raise ReceiptTimeout(
                f"{call} was not mined{confirmed} within {network.receipt_timeout:g} s: it may be "
                f"later; look for transaction {signed.hash.to_0x_hex()} before sending it again"
            ) from error
        except (ChainError, Web3Exception, ValueError) as error:
            raise self._lost(signed.hash, sender, call, error) from error

    def _is_taken(self, nonce: int, sender: Address, digest: HexBytes) -> bool:
        """Whether another process of this account has used a nonce, and so nothing was sent."""
        eth = self.connection.w3.eth
        if eth.get_transaction_count(Web3.to_checksum_address(sender), "pending") <= nonce:
            return False
        try:
            eth.get_transaction(digest)
        except TransactionNotFound:
            return True
        return False

    def _confirmed(self, digest: HexBytes) -> TxReceipt:
        """The receipt of a transaction, once it has the network's confirmations."""
        eth, network = self.connection.w3.eth, self.connection.network
        poll = FAST_POLL if self.connection.is_development else POLL
        deadline = monotonic() + network.receipt_timeout
        while True:
            receipt = eth.wait_for_transaction_receipt(digest, deadline - monotonic(), poll)
            if not network.confirmations:
                return receipt
            while eth.block_number < receipt["blockNumber"] + network.confirmations:
                if monotonic() > deadline:
                    raise TimeExhausted
                sleep(poll)
            # A reorganisation may have moved it meanwhile: then it is waited for again.
            block = eth.get_block(receipt["blockNumber"])
            if block["hash"] == receipt["blockHash"]:
                return receipt
            sleep(poll)
            if monotonic() > deadline:
                raise TimeExhausted

    def _lost(
        self, digest: HexBytes, sender: Address, call: str, error: Exception
    ) -> ReceiptTimeout:
        # Whether it arrived is not known: ask the chain again before the next one.
        self._nonces.pop(sender, None)
        return ReceiptTimeout(
            f"{call} was sent, and what became of it is not known ({error}): "
            f"look for transaction {digest.to_0x_hex()} before sending it again"
        )

    def _fees(self) -> dict[str, int]:
        network, eth = self.connection.network, self.connection.w3.eth
        base_fee = eth.get_block("latest").get("baseFeePerGas")
        price = eth.gas_price if base_fee is None else base_fee
        ceiling = None
        if network.fee_ceiling_gwei is not None:
            ceiling = int(network.fee_ceiling_gwei * GWEI)
        if ceiling is not None and price > ceiling:
            raise FeeAboveCeiling(
                f"a unit of gas costs {Decimal(price) / GWEI:f} gwei on {network.name}, above the "
                f"ceiling of {network.fee_ceiling_gwei:f}: wait until it is cheaper, or raise "
                f"fee_ceiling_gwei of network {network.name}"
            )
        if base_fee is None:
            return {"gasPrice": price}
        # Some public chains take no less than tens of gwei, others next to nothing.
        advice = None if self.connection.is_development else self.connection.suggested_tip()
        tip = TIP if advice is None else advice
        most = 2 * base_fee + tip
        most = most if ceiling is None else min(most, ceiling)
        return {"maxFeePerGas": most, "maxPriorityFeePerGas": min(tip, most)}

    def _check_funds(self, fields: dict[str, Any], sender: Address, call: str) -> None:
        """Tells a lack of ether from other refusals, whatever words a node has for it."""
        price = fields["gasPrice"] if "gasPrice" in fields else fields["maxFeePerGas"]
        needed = fields["gas"] * price + fields["value"]
        balance = self.connection.balance(sender)
        if balance < needed:
            development = self.connection.is_development
            remedy = f"energy-chain accounts fund {sender}" if development else "send it some"
            raise OutOfFunds(
                f"{sender} cannot pay for {call}: it has {_ether(balance)} ether of the "
                f"{_ether(needed)} that may be needed on {self.connection.network.name}; {remedy}"
            )

    def _simulate(self, transaction: TxParams, call: str) -> None:
        try:
            self.connection.w3.eth.call(transaction, "latest")
        except (Web3Exception, ValueError) as error:
            raise refusal(error, call) from error


def refusal(error: Exception, call: str) -> MarketRefusal | TransactionFailed:
    """The error of ours that says why the node or the contract refused a call."""
    data = getattr(error, "data", None)
    if isinstance(error, ContractLogicError) and isinstance(data, str) and data.startswith("0x"):
        raw = HexBytes(data)
        if raw[:4] == ERROR_STRING:
            try:
                (reason,) = decode(["string"], raw[4:])
            except DecodingError:
                reason = ""
            if reason in REFUSALS:
                return REFUSALS[reason](call)
    for reason, kind in REFUSALS.items():
        if reason in str(error):
            return kind(call)
    return TransactionFailed(f"the node refused {call}: {node_message(error)}")


def node_message(error: Exception) -> str:
    """What a node says of an error; some add a stack."""
    try:
        return str(error.rpc_response["error"]["message"])  # type: ignore[attr-defined]
    except (AttributeError, LookupError, TypeError):
        return str(error)


def _ether(wei: int) -> str:
    return f"{Decimal(wei) / 10**18:.6f}"
