"""Transactions: signed here, sent, waited for, and their refusals translated.

Gas and fees are always explicit. A refusal of the contract becomes the
`MarketRefusal` of its reason. What was signed is in the outbox before it is sent,
and from there it is mined once or withdrawn, whatever fails in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from decimal import Decimal
from threading import Event, RLock
from time import monotonic, time
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3Exception
from web3.types import BlockIdentifier, TxData, TxParams, TxReceipt

from energy_chain.chain.connection import Connection
from energy_chain.chain.outbox import Attempt, Entry, Form, Outbox, State, outbox_file
from energy_chain.errors import (
    REFUSALS,
    ChainError,
    FeeAboveCeiling,
    InvalidInput,
    MarketRefusal,
    OutOfFunds,
    ReceiptTimeout,
    TransactionFailed,
    WrongChain,
)
from energy_chain.market import Address

GWEI = 10**9
TIP = GWEI
"""Wei a unit of gas offered to whoever builds the block, where the node advises nothing."""
FAST_POLL, POLL = 0.05, 1.0
"""Seconds between two looks for a receipt, on a development chain and on others."""
DEPTH = 64
"""Blocks on a transaction's own from which on it is taken to stay: two epochs of Ethereum."""
RESEND_SECONDS = 2.0
"""Between two times that a transaction is sent which the node does not know."""
REFUSED_SECONDS = 0.5
"""How long a refused transaction is looked for all the same."""
PASSED_SECONDS = 5.0
"""How long a used nonce without a receipt is looked at before another one is taken."""
TRANSFER_GAS = 21_000
ERROR_STRING = HexBytes("0x08c379a0")
"""Selector of Error(string), in which Solidity and Vyper revert with a reason."""


class TransactionSender:
    """Sends transactions of the accounts whose keys it holds, and sees to it that they are mined.

    Each is in the outbox before it is sent. Nonces are counted there, so that threads and processes
    of one machine never meet; another machine that uses the same account is made way for.

    Attributes:
        connection: the chain.
        outbox: what is under way.
        stop: once set, nobody waits any longer for what was sent; the outbox keeps it.
    """

    def __init__(
        self,
        connection: Connection,
        accounts: Iterable[LocalAccount],
        outbox: Outbox | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        """A sender.

        Args:
            connection: the chain.
            accounts: whose keys sign.
            outbox: of that chain; one in memory when None, which ends with the process.
            clock: Unix time, by which is measured what waits for too long.
        """
        self.connection = connection
        self.outbox = outbox or Outbox.in_memory()
        self.stop = Event()
        self._accounts = {str(account.address): account for account in accounts}
        self._clock = clock
        self._tending = RLock()
        self._sent_at: dict[int, float] = {}
        self._passed_since: dict[int, float] = {}

    @classmethod
    def durable(cls, connection: Connection, accounts: Iterable[LocalAccount]) -> TransactionSender:
        """A sender whose outbox outlives this process, as long as the chain itself does.

        Raises:
            InvalidInput: the outbox's file cannot be used.
        """
        if connection.is_in_process:
            return cls(connection, accounts)
        path = outbox_file(connection.chain_id, connection.genesis())
        return cls(connection, accounts, Outbox.open(path))

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
        key: str | None = None,
        period_length: int = 0,
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
            key: under which it takes effect once: when a transaction of `sender` with that key is
                under way or was mined, that one is waited for and nothing is sent.
            period_length: seconds; it must be mined in the delivery period that is now. 0 lets it
                be mined at any time.
            announce: is told the transaction's hash before it is sent; again each time that it has
                to be signed anew.

        Raises:
            InvalidInput: there is no key for `sender`.
            MarketRefusal: the contract refused it.
            TransactionFailed: the node refused it, it had no effect, or its period was over before
                it was mined.
            OutOfFunds: `sender` cannot pay for it; nothing was sent.
            FeeAboveCeiling: gas costs more than the network's ceiling; nothing was sent.
            ReceiptTimeout: not seen mined in time; it is in the outbox, and may be mined later.
            NodeUnreachable: nobody answers; nothing was sent.
            WrongChain: the node serves another chain than before; nothing was sent.
        """
        account = self._accounts.get(sender)
        if account is None:
            raise InvalidInput(f"there is no key for {sender}: give the account that sends {call}")
        self._recheck(sender)
        known = self._of_key(sender, key) if key else None
        transaction: TxParams = {"from": sender, "data": data, "gas": gas, "value": value}  # type: ignore[typeddict-item]
        if to is not None:
            transaction["to"] = to
        if known is None:
            if self.connection.network.simulate:
                try:
                    self._simulate(transaction, call)
                except (MarketRefusal, TransactionFailed) as error:
                    self.connection.verify(to)  # a stranger refuses what the market would take
                    if isinstance(error, TransactionFailed):
                        self._check_funds({**transaction, **self._fees()[0]}, sender, call)
                    raise
            known = self._post(account, transaction, call, key, period_length, announce)
        receipt = self._wait(known, announce)
        if receipt["status"] != 1:
            self._simulate(transaction, call)
            raise TransactionFailed(
                f"{call} was mined without effect, using {receipt['gasUsed']} of {gas} gas: "
                "try again, and report it if it happens twice"
            )
        return receipt

    def outcome(self, sender: Address, key: str) -> TxReceipt | None:
        """What the transaction of a key came to: its receipt, or None where it has no effect.

        One that was never sent, was withdrawn or failed has none, and may be sent again.

        Raises:
            ReceiptTimeout: it is under way.
            ChainError: the chain cannot be asked.
        """
        self._recheck(sender)
        entry = self._of_key(sender, key)
        if entry is None:
            return None
        receipt = self._look(entry.id)
        after = self.outbox.get(entry.id)
        assert after is not None
        if after.key is None:
            return None  # it has just come to nothing
        if receipt is None:
            raise ReceiptTimeout(f"{entry.call} is under way: energy-chain outbox shows it")
        return receipt

    def _post(
        self,
        account: LocalAccount,
        transaction: TxParams,
        call: str,
        key: str | None,
        period_length: int,
        announce: Callable[[str], None],
    ) -> Entry:
        sender, to = str(account.address), transaction.get("to")
        self.connection.verify(None if to is None else str(to))
        fees, now = self._fees()
        expires = (now // period_length + 1) * period_length if period_length else None
        count = self._count(sender, "pending")
        with self._tending:  # so that nobody else sends it first and gets the answer
            with self.outbox.writing():
                if key and (known := self.outbox.of_key(sender, key)):
                    return known  # another process was faster
                form = Form(
                    self.outbox.next_nonce(sender, count),
                    None if to is None else str(to),
                    str(transaction["data"]),
                    transaction["gas"],
                    transaction["value"],
                )
                first = self._signed(account, form, fees)
                entry = self.outbox.add(sender, form, call, first, key, expires)
            announce(first.hash)
            return self._broadcast_first(entry, is_next=entry.form.nonce == count)

    def _of_key(self, sender: Address, key: str) -> Entry | None:
        """The entry of a key; none where the node has refused it, and has not mined it since."""
        entry = self.outbox.of_key(sender, key)
        if entry is None or entry.state is not State.VOID or entry.transaction is not None:
            return entry
        if self._found(entry) is None:
            self.outbox.withdraw(entry.id)
        return self.outbox.of_key(sender, key)

    def _broadcast_first(self, entry: Entry, is_next: bool) -> Entry:
        attempt = entry.attempts[0]
        self._sent_at[entry.id] = monotonic()
        try:
            self.connection.w3.eth.send_raw_transaction(HexBytes(attempt.raw))
            return entry
        except ChainError:
            return entry  # whether it arrived is not known: `_tend` finds out
        except (Web3Exception, ValueError) as error:
            refused = error
        if not is_next:
            return entry  # some nodes keep nothing whose turn has not come
        try:
            # Some nodes take it and tell its error at once. Where the nonce is used, it may be by
            # this very transaction, of which the node does not know yet: `_pass` finds out.
            until = monotonic() + REFUSED_SECONDS
            while True:
                if self._knows(attempt.hash):
                    return entry
                if self._count(entry.account, "pending") != entry.form.nonce:
                    return entry
                if self.stop.wait(FAST_POLL) or monotonic() > until:
                    break
        except ChainError:
            return entry
        if entry.key is None:
            self.outbox.withdraw(entry.id)
        else:
            self.outbox.refuse(entry.id)
        self._check_funds(
            {"gas": entry.form.gas, "value": entry.form.value, "gasPrice": attempt.price},
            entry.account,
            entry.call,
        )
        raise refusal(refused, entry.call) from refused

    def _wait(self, entry: Entry, announce: Callable[[str], None]) -> TxReceipt:
        """The receipt of a transaction, once it has the network's confirmations."""
        network = self.connection.network
        poll = FAST_POLL if self.connection.is_development else POLL
        deadline = monotonic() + network.receipt_timeout
        answered = monotonic()
        told, trouble = entry.attempts[0].hash if entry.attempts else None, ""
        while True:
            try:
                receipt = self._look(entry.id)
                answered = monotonic()
                if receipt is not None:
                    return receipt
            except (ChainError, Web3Exception, ValueError) as error:
                if isinstance(error, WrongChain):
                    raise
                trouble = node_message(error)
            found = self.outbox.get(entry.id)
            if found and found.state is State.VOID and found.key is None:
                raise TransactionFailed(
                    f"{entry.call} was not mined before its delivery period was over, and was "
                    "withdrawn: it had no effect"
                )
            if found and found.attempts and found.attempts[0].hash != told:
                told = found.attempts[0].hash
                announce(told)
            away = monotonic() - answered > network.total_timeout
            if self.stop.is_set() or away or monotonic() > deadline:
                confirmed = f" and confirmed {network.confirmations} times" * bool(
                    network.confirmations
                )
                why = f" ({trouble})" if away else ""
                raise ReceiptTimeout(
                    f"{entry.call} was not seen mined{confirmed} in time{why}: it is in the outbox "
                    f"as transaction {told}, and may be mined later; energy-chain outbox finish "
                    "waits for it"
                )
            self.stop.wait(poll)

    def _look(self, id: int) -> TxReceipt | None:
        """The receipt of an entry where it is mined and confirmed; does what helps it there."""
        entry = self.outbox.get(id)
        assert entry is not None  # entries are never taken out
        receipt = None
        if entry.state is State.OPEN:
            for before in self.outbox.unsettled(entry.account, State.OPEN):
                if before.form.nonce < entry.form.nonce:
                    self._tend(before)
            receipt = self._tend(entry)
            entry = self.outbox.get(id)
            assert entry is not None
            if entry.state is State.OPEN:
                self._fill(entry.account)
        if entry.state is State.OPEN or not entry.transaction or entry.block is None:
            return None
        eth, confirmations = self.connection.w3.eth, self.connection.network.confirmations
        if confirmations and entry.state is not State.SETTLED:
            if eth.block_number < entry.block + confirmations:
                return None
            if not self._is_there(entry):
                self.outbox.reopen(id)  # a reorganisation has moved it, or dropped it
                return None
        if entry.state in (State.FAILED, State.VOID):
            self.outbox.release(id)
        return None if entry.state is State.VOID else receipt or self._receipt(entry.transaction)

    # what is under way

    def tend(self, report: Callable[[str], None] = lambda _: None) -> int:
        """Does what helps everything under way to be mined; returns how much that still is.

        What a reorganisation has lost is under way again. What was dropped is sent again, what is
        stuck is replaced with a higher fee, what is too late for its period is withdrawn, and a
        nonce that nobody has is used up. To be called every now and then; threads may.

        Args:
            report: is told of each change that somebody should know of.

        Raises:
            ChainError: the chain cannot be asked.
        """
        left = 0
        for account in self._accounts:
            self._recheck(account, report)
            entries = self.outbox.unsettled(account, State.OPEN)
            for entry in entries:
                self._tend(entry, report)
            if entries:
                self._fill(account, report)
            left += len(self.outbox.unsettled(account, State.OPEN))
        return left

    def _recheck(self, account: Address, report: Callable[[str], None] = lambda _: None) -> None:
        """Takes up again what a reorganisation has lost."""
        found = self.outbox.newest_mined(account)
        if found is None:
            return
        newest, oldest = found
        assert newest.block is not None  # it is mined
        if self.connection.is_in_process or self._is_there(newest):
            if newest.block - oldest >= 2 * self.depth:
                self.outbox.settle(account, newest.block - self.depth)
            return
        self.connection.verify(newest.form.to)
        for entry in reversed(self.outbox.unsettled(account, State.MINED)):
            if self._is_there(entry):
                break
            self.outbox.reopen(entry.id)
            report(f"a reorganisation has lost {entry.call}: it is sent again")

    @property
    def depth(self) -> int:
        """Blocks above a transaction's own from which on no reorganisation is looked for."""
        return max(DEPTH, self.connection.network.confirmations)

    def _is_there(self, entry: Entry) -> bool:
        assert entry.block is not None
        header = self.connection.header(entry.block)
        return header is not None and header[0] == entry.block_hash

    def _tend(
        self, entry: Entry, report: Callable[[str], None] = lambda _: None
    ) -> TxReceipt | None:
        """Does what helps an open transaction; returns its receipt where it is mined."""
        with self._tending:
            receipt = self._found(entry)
            if receipt is not None:
                return receipt
            if self._count(entry.account, "latest") > entry.form.nonce:
                self._pass(entry, report)
                return self._found(entry)
            self._passed_since.pop(entry.id, None)
            account = self._accounts.get(entry.account)
            now = self.connection.block_time()
            late = entry.expires is not None and now >= entry.expires and not entry.is_withdrawn
            if late and account is not None and self._replace(entry, account, cancel=True):
                report(f"the period of {entry.call} is over: it is withdrawn")
            elif (
                account is not None
                and self._is_stuck(entry)
                and self._replace(entry, account, cancel=entry.is_withdrawn)
            ):
                report(f"{entry.call} was not mined in time: it is sent with a higher fee")
            elif not self._knows(entry.attempts[0].hash):
                self._send_again(entry)
            return None

    def _is_stuck(self, entry: Entry) -> bool:
        waited = self._clock() - entry.attempts[0].signed_at
        return waited > self.connection.network.replace_after

    def _found(self, entry: Entry) -> TxReceipt | None:
        for attempt in entry.attempts:
            receipt = self._receipt(attempt.hash)
            if receipt is not None:
                self.outbox.mined(
                    entry.id,
                    attempt.hash,
                    receipt["blockNumber"],
                    receipt["blockHash"].to_0x_hex(),
                    receipt["status"] == 1,
                )
                self._sent_at.pop(entry.id, None)
                self._passed_since.pop(entry.id, None)
                return receipt
        return None

    def _pass(self, entry: Entry, report: Callable[[str], None]) -> None:
        """The nonce is used and no attempt has a receipt: another machine's transaction has it.

        Believed once it has stayed so for a while, because a node may know of a nonce sooner than
        of a receipt, and a transaction that is sent once more could take effect twice.
        """
        since = self._passed_since.setdefault(entry.id, monotonic())
        account = self._accounts.get(entry.account)
        if account is None or monotonic() - since < PASSED_SECONDS:
            return
        del self._passed_since[entry.id]
        if used := self._same_call(entry):
            # An attempt of which this outbox, such as one from a backup, has not known.
            last = entry.attempts[0]
            self.outbox.attempt(entry.id, replace(last, hash=used, cancels=False))
            return
        if entry.is_withdrawn or (
            entry.expires is not None and self.connection.block_time() >= entry.expires
        ):
            self.outbox.withdraw(entry.id)
            report(f"the period of {entry.call} is over: it is withdrawn")
            return
        self._send_again(self._renumber(entry, account))
        report(f"another transaction has the nonce of {entry.call}: it is sent with the next one")

    def _same_call(self, entry: Entry) -> str | None:
        """The hash of the transaction that has used an entry's nonce, where it makes its call."""
        eth, form = self.connection.w3.eth, entry.form
        with suppress(ChainError, Web3Exception, ValueError):  # nodes forget old states
            first, last = 0, int(eth.block_number)
            while first < last:
                middle = (first + last) // 2
                if self._count(entry.account, middle) > form.nonce:
                    last = middle
                else:
                    first = middle + 1
            for found in eth.get_block(last, full_transactions=True)["transactions"]:
                assert not isinstance(found, bytes)  # they are whole
                if found["from"] == entry.account and found["nonce"] == form.nonce:
                    same = found.get("to") == form.to and _input(found) == HexBytes(form.data)
                    return found["hash"].to_0x_hex() if same else None
        return None

    def _renumber(self, entry: Entry, account: LocalAccount) -> Entry:
        count, (fees, _) = self._count(entry.account, "pending"), self._fees()
        with self.outbox.writing():
            form = replace(entry.form, nonce=self.outbox.next_nonce(entry.account, count))
            attempt = self._signed(account, form, fees)
            self.outbox.renumber(entry.id, form.nonce, attempt)
        renumbered = self.outbox.get(entry.id)
        assert renumbered is not None
        return renumbered

    def _send_again(self, entry: Entry) -> None:
        """Sends an attempt that the node does not know, every now and then."""
        last = self._sent_at.get(entry.id)
        if last is not None and monotonic() - last < RESEND_SECONDS:
            return
        self.connection.verify(entry.form.to)
        self._sent_at[entry.id] = monotonic()
        with suppress(Web3Exception, ValueError):  # the next look tells what became of it
            self.connection.w3.eth.send_raw_transaction(HexBytes(entry.attempts[0].raw))

    def _replace(self, entry: Entry, account: LocalAccount, cancel: bool) -> bool:
        """Offers a fifth more, up to the ceiling; returns whether it could."""
        if entry.form.nonce == 0 and self.connection.is_ganache:
            return False  # it mines both of two transactions whose nonce is 0
        last = entry.attempts[0]
        try:
            fees, _ = self._fees()
        except FeeAboveCeiling:
            return False
        higher = {name: max(fee, _higher(last, name)) for name, fee in fees.items()}
        ceiling = self._ceiling()
        if ceiling is not None and max(higher.values()) > ceiling:
            return False
        form = _nothing(entry.account, entry.form.nonce) if cancel else entry.form
        attempt = self._signed(account, form, higher, cancel)
        self.outbox.attempt(entry.id, attempt)
        self._sent_at.pop(entry.id, None)
        again = self.outbox.get(entry.id)
        assert again is not None
        self._send_again(again)
        return True

    def _fill(self, account: Address, report: Callable[[str], None] = lambda _: None) -> None:
        """Uses up a nonce that nobody has, for which all later ones wait."""
        held = {
            entry.form.nonce
            for state in (State.OPEN, State.MINED)
            for entry in self.outbox.unsettled(account, state)
        }
        nonce = self._count(account, "pending")
        if nonce in held or nonce > max(held, default=-1):
            return
        form = _nothing(account, nonce)
        attempt = self._signed(self._accounts[account], form, self._fees()[0])
        entry = self.outbox.add(account, form, f"nothing with nonce {nonce}", attempt)
        self._send_again(entry)
        report(f"nobody has nonce {nonce} of {account}: it is used up")

    def _signed(
        self, account: LocalAccount, form: Form, fees: dict[str, int], cancels: bool = False
    ) -> Attempt:
        fields: dict[str, Any] = asdict(form) | {"chainId": self.connection.chain_id, **fees}
        if form.to is None:
            del fields["to"]
        signed = account.sign_transaction(fields)
        price = fees.get("gasPrice", fees.get("maxFeePerGas", 0))
        return Attempt(
            signed.hash.to_0x_hex(),
            bytes(signed.raw_transaction),
            price,
            fees.get("maxPriorityFeePerGas", price),
            cancels,
            self._clock(),
        )

    def _count(self, account: Address, block: BlockIdentifier) -> int:
        eth = self.connection.w3.eth
        return int(eth.get_transaction_count(Web3.to_checksum_address(account), block))

    def _knows(self, transaction: str) -> bool:
        try:
            self.connection.w3.eth.get_transaction(HexBytes(transaction))
        except TransactionNotFound:
            return False
        return True

    def _receipt(self, transaction: str) -> TxReceipt | None:
        try:
            return self.connection.w3.eth.get_transaction_receipt(HexBytes(transaction))
        except TransactionNotFound:
            return None

    def _ceiling(self) -> int | None:
        gwei = self.connection.network.fee_ceiling_gwei
        return None if gwei is None else int(gwei * GWEI)

    def _fees(self) -> tuple[dict[str, int], int]:
        """What a unit of gas may cost now (EIP-1559 where there is a base fee), and chain time."""
        network, eth, ceiling = self.connection.network, self.connection.w3.eth, self._ceiling()
        latest = self.connection.block()
        base_fee, now = latest.get("baseFeePerGas"), int(latest["timestamp"])
        price = eth.gas_price if base_fee is None else base_fee
        if ceiling is not None and price > ceiling:
            raise FeeAboveCeiling(
                f"a unit of gas costs {Decimal(price) / GWEI:f} gwei on {network.name}, above the "
                f"ceiling of {network.fee_ceiling_gwei:f}: wait until it is cheaper, or raise "
                f"fee_ceiling_gwei of network {network.name}"
            )
        if base_fee is None:
            return {"gasPrice": price}, now
        # Some public chains take no less than tens of gwei, others next to nothing.
        advice = None if self.connection.is_development else self.connection.suggested_tip()
        tip = TIP if advice is None else advice
        most = 2 * base_fee + tip
        most = most if ceiling is None else min(most, ceiling)
        return {"maxFeePerGas": most, "maxPriorityFeePerGas": min(tip, most)}, now

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


def _nothing(account: Address, nonce: int) -> Form:
    """A transfer of nothing to oneself, which uses up a nonce."""
    return Form(nonce, account, "0x", TRANSFER_GAS, 0)


def _input(transaction: TxData) -> HexBytes:
    """What a transaction calls; nodes have two names for it."""
    return HexBytes(transaction.get("input") or transaction.get("data") or b"")


def _higher(last: Attempt, fee: str) -> int:
    """A fifth more than an attempt offered; nodes want a tenth to replace one."""
    offered = last.tip if fee == "maxPriorityFeePerGas" else last.price
    return offered * 6 // 5 + 1


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
