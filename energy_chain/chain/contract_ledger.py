"""A market kept by `EnergyContract` on a chain. Implements `Ledger`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import BadFunctionCallOutput, Web3Exception
from web3.types import LogReceipt, TxReceipt

from energy_chain.chain.addresses import parse_address
from energy_chain.chain.artifact import load_artifact
from energy_chain.chain.event_codec import decode
from energy_chain.chain.mined import MinedBlock, numbered, parse_receipts
from energy_chain.chain.sender import TransactionSender, refusal
from energy_chain.errors import ContradictoryChain, NotOurContract, TransactionFailed
from energy_chain.events import Event, Receipt
from energy_chain.market import (
    CAPACITY,
    LANES_PER_WORD,
    MAX_BATCH,
    MAX_SIGNED,
    ZERO_ADDRESS,
    Address,
    Match,
    Meter,
    Release,
    Request,
    check_batch,
    check_count,
    check_energy_type,
)
from energy_chain.packing import (
    order_lanes,
    pack_energies,
    pack_orders,
)
from energy_chain.signing import (
    Kind,
    OrderDomain,
    SignedOrder,
    pack_signed,
    period_of,
    signing_length,
)

# Gas to allow: the measured worst case, every slot written for the first time, and a third more.
DEPLOY_GAS = 6_000_000
CALL_GAS = 200_000
LOOK_UP_GAS = 2_500_000  # `consume` may scan the whole ring of matches
ORDER_GAS = 8_500
SIGNED_GAS = 40_000  # each on a page of its own; 13,000 in a batch of neighbours
MATCH_GAS = 10_000
PAIR_GAS = 11_500  # a match that logs itself
CONFIRMATION_GAS = 3_000
METER_GAS = 65_000

WORDS = CAPACITY // LANES_PER_WORD
"""Words of one ring of pending orders."""
IMMUTABLES = 4 * 32
"""Bytes behind the code of a deployed contract: two period lengths, its domain, its chain's id."""


class ContractLedger:
    """A market on a chain, acted on by one account. Implements `Ledger`."""

    _key: str | None = None
    _length: int | None = None

    def __init__(
        self, sender: TransactionSender, address: Address, account: Address, first_block: int = 0
    ) -> None:
        """The market at an address.

        Args:
            sender: holds the keys of the accounts that this ledger will act for.
            address: of the contract.
            account: the account to act for.
            first_block: the block of the deployment, where its history begins.

        Raises:
            NotOurContract: there is no `EnergyContract` of this version at the address.
        """
        self._sender = sender
        self._connection = sender.connection
        self.address = parse_address(address)
        self.first_block = first_block
        self._account = parse_address(account)
        self._block: int | None = None
        self._announce: Callable[[str], None] = lambda _: None
        artifact = load_artifact()
        code = self._connection.code_at(self.address)
        if code[:-IMMUTABLES] != HexBytes(artifact.runtime):
            what = "another contract" if code else "no contract"
            raise NotOurContract(
                f"there is {what} at {self.address} on {self._connection.network.name}: "
                "check the address and the network, or deploy"
            )
        self._connection.pin(self.address, code)
        self._contract: Contract = self._connection.w3.eth.contract(
            address=Web3.to_checksum_address(self.address), abi=artifact.abi
        )

    @classmethod
    def deploy(
        cls,
        sender: TransactionSender,
        owner: Address,
        aggregator: Address,
        metering_operator: Address,
        period_length: int,
    ) -> ContractLedger:
        """Deploys a market of its own and returns the owner's ledger of it.

        Args:
            sender: holds the owner's key.
            owner: the deployer.
            aggregator: may call `match_energy`.
            metering_operator: registers meters, and may post and confirm for them.
            period_length: seconds, 60..31,622,400; 0 means that orders never expire.

        Raises:
            InvalidInput: the period length is no number.
            InvalidPeriodLength, ZeroAddress: the constructor refuses.
            NotOurContract: what was deployed does not answer as it should.
        """
        w3, artifact = sender.connection.w3, load_artifact()
        check_count(period_length, "period length")
        constructor = w3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode).constructor(
            parse_address(aggregator), parse_address(metering_operator), period_length
        )
        receipt = sender.send(
            parse_address(owner), None, constructor.data_in_transaction, DEPLOY_GAS, "deploy"
        )
        address = receipt["contractAddress"]
        if address is None:
            raise NotOurContract("the deployment was mined without a contract: try again")
        ledger = cls(sender, address, owner, receipt["blockNumber"])
        ledger._check_it_runs(aggregator, metering_operator, period_length)
        return ledger

    def _check_it_runs(self, aggregator: Address, operator: Address, period_length: int) -> None:
        # A chain whose rules are too old takes the code and then fails every call to it.
        told: Any
        try:
            told = self.owner(), self.aggregator(), self.metering_operator(), self.period_length()
        except TransactionFailed as error:
            told = str(error)
        meant = self._account, parse_address(aggregator), parse_address(operator), period_length
        if told != meant:
            raise NotOurContract(
                f"the contract deployed at {self.address} says {told} and not {meant}: "
                f"do not use it; check the node of {self._connection.network.name}"
            )

    @property
    def account(self) -> Address:
        """The account that this ledger acts for."""
        return self._account

    def as_account(self, account: Address) -> ContractLedger:
        """The same market, acted on by another account."""
        other = object.__new__(ContractLedger)
        other.__dict__.update(self.__dict__)
        other._account = parse_address(account)
        return other

    @property
    def network(self) -> str:
        """What the chain is called."""
        return self._connection.network.name

    @property
    def block(self) -> int | None:
        """The number of the block as of which it reads; None reads as of the latest."""
        return self._block

    def at_latest_block(self) -> ContractLedger:
        """The same market, read as it stands after the block that is the latest now."""
        return self.at_block(self._connection.w3.eth.block_number)

    def at_block(self, number: int) -> ContractLedger:
        """The same market, read as it stands after a block."""
        other = self.as_account(self._account)
        other._block = number
        return other

    def keyed(self, key: str) -> ContractLedger:
        """As `Ledger.keyed`: the outbox knows the keys, over restarts as well."""
        other = self.as_account(self._account)
        other._key = key
        return other

    def outcome(self, key: str) -> Receipt | None:
        """What the call of this account under a key came to; None where it has no effect.

        Then it was never made, or it was refused, or withdrawn when its period was over: it may be
        made again. `keyed` makes calls under a key.

        Raises:
            ReceiptTimeout: it is under way.
            ChainError: the chain cannot be asked.
        """
        found = self._sender.outcome(self._account, self._named(key))
        return None if found is None else self._read(found)

    def announcing(self, announce: Callable[[str], None]) -> ContractLedger:
        """The same market; `announce` is told each transaction's hash before it is sent.

        Again where it is signed anew while it is waited for, which gives it another hash.
        """
        other = self.as_account(self._account)
        other._announce = announce
        return other

    @property
    def trouble(self) -> str | None:
        """What the node is waited for; None while it answers."""
        return self._connection.trouble

    def under_way(self) -> tuple[int, float | None]:
        """How many transactions of this account are under way, and since when the oldest is.

        In Unix seconds; whichever process of this machine has sent them.
        """
        return self._sender.outbox.waiting([self._account])

    def latest(self) -> tuple[int, int]:
        """Number and Unix time of the latest block."""
        block = self._connection.block()
        return int(block["number"]), int(block["timestamp"])

    def settled(self) -> tuple[int, int]:
        """Number and Unix time of the latest block with the network's confirmations.

        Raises:
            WrongChain: another chain answers than the one on which this ledger was opened.
        """
        self._connection.verify(self.address)
        number, time = self.latest()
        confirmations = self._connection.network.confirmations
        if not confirmations:
            return number, time
        number = max(0, number - confirmations)
        return number, self._connection.block_time(number)

    def genesis(self) -> str:
        """Hash of the chain's block 0, which tells chains apart that share a chain id."""
        return self._connection.genesis()

    def history(self) -> Iterator[Receipt]:
        """What each transaction since the deployment made the contract log, oldest first.

        Up to the block as of which this ledger reads.

        Receipts are without their gas: logs do not tell it.
        """
        return self.receipts(self.first_block, self._block)

    def receipts(self, first_block: int, last_block: int | None) -> Iterator[Receipt]:
        """As `history`, from a block up to another, or to the latest."""
        logs = self._connection.logs(self.address, first_block, last_block)
        for (block, digest), group in groupby(
            logs, key=lambda log: (log["blockNumber"], log["transactionHash"])
        ):
            yield Receipt(
                self._decoded(list(group)),
                timestamp=self._connection.block_time(block),
                transaction=digest.to_0x_hex(),
                block=block,
            )

    def header(self, number: int) -> tuple[str, int] | None:
        """Hash and Unix time of a block as the chain is now; None where it has none."""
        return self._connection.header(number)

    def mined(self, first_block: int, last_block: int) -> Iterator[MinedBlock]:
        """The blocks of a range in which the contract logged something, oldest first.

        Raises:
            ContradictoryChain: the chain was reorganised meanwhile, or the node's logs and receipts
                are not the same.
        """
        logs = self._connection.logs(self.address, first_block, last_block)
        for number, group in groupby(logs, key=lambda log: log["blockNumber"]):
            told = list(group)
            digest = told[0]["blockHash"].to_0x_hex()
            header = self._connection.header(number)
            places: dict[str, list[int]] = {}
            for log in told:
                places.setdefault(log["transactionHash"].to_0x_hex(), []).append(log["logIndex"])
            receipts = self._connection.receipts(number, list(places))
            transactions = parse_receipts(receipts, self.address)
            found = sum(len(transaction.logs) for transaction in transactions)
            if (
                header is None
                or header[0] != digest
                or any(receipt["blockHash"].lower() != digest for receipt in receipts)
                or found != len(told)
            ):
                raise ContradictoryChain(
                    f"logs and receipts of block {number} are not of one chain: it was reorganised "
                    "meanwhile, or the node leaves something out; try again"
                )
            yield MinedBlock(number, digest, header[1], numbered(transactions, places))

    # posting

    def post_request(self, meter: Address, energy: int) -> Receipt:
        """As `Ledger.post_request`."""
        check_energy_type(energy, f"post_request({meter}, {energy!r})")
        return self._send("incomingRequest", parse_address(meter), energy, in_period=True)

    def post_release(self, meter: Address, energy: int) -> Receipt:
        """As `Ledger.post_release`."""
        check_energy_type(energy, f"post_release({meter}, {energy!r})")
        return self._send("incomingRelease", parse_address(meter), energy, in_period=True)

    def post_requests(self, requests: Sequence[Request]) -> Receipt:
        """As `Ledger.post_requests`."""
        gas = CALL_GAS + ORDER_GAS * len(requests)
        return self._send("post_requests", pack_orders(requests), gas=gas, in_period=True)

    def post_releases(self, releases: Sequence[Release]) -> Receipt:
        """As `Ledger.post_releases`."""
        gas = CALL_GAS + ORDER_GAS * len(releases)
        return self._send("post_releases", pack_orders(releases), gas=gas, in_period=True)

    def post_signed(self, orders: Sequence[SignedOrder], all_or_nothing: bool = False) -> Receipt:
        """As `Ledger.post_signed`."""
        period = period_of(orders)
        ends = (period + 1) * signing_length(self.period_length())
        packed = [pack_signed(order, ends) for order in orders]
        gas = CALL_GAS + SIGNED_GAS * len(packed)
        return self._send("post_signed", period, packed, all_or_nothing, gas=gas, in_period=True)

    def max_signed(self) -> int:
        """The most signed orders that one call can post here: 100, or what fits a block."""
        room = self._connection.block_gas_limit() - CALL_GAS
        return max(1, min(MAX_SIGNED, room // SIGNED_GAS))

    # matching

    def match_pending(self, max_matches: int) -> Receipt:
        """As `Ledger.match_pending`."""
        gas = CALL_GAS + _matching_gas(max_matches)
        return self._send("match_pending", max_matches, gas=gas)

    def match_energy(self, energy: int) -> Receipt:
        """As `Ledger.match_energy`."""
        check_energy_type(energy, f"match_energy({energy!r})")
        return self._send("doMatching", energy, gas=CALL_GAS + PAIR_GAS * MAX_BATCH)

    def post_and_match(
        self, requests: Sequence[Request], releases: Sequence[Release], max_matches: int
    ) -> Receipt:
        """As `Ledger.post_and_match`."""
        sides = pack_orders(requests), pack_orders(releases)
        gas = CALL_GAS + ORDER_GAS * (len(requests) + len(releases)) + _matching_gas(max_matches)
        return self._send("post_and_match", *sides, max_matches, gas=gas, in_period=True)

    def max_matches(self) -> int:
        """The most matches that one call can write here: 256, or what fits a block."""
        room = self._connection.block_gas_limit() - CALL_GAS
        return max(1, min(MAX_BATCH, room // MATCH_GAS))

    # consuming

    def consume(self, consumer: Address, energy: int) -> Receipt:
        """As `Ledger.consume`."""
        check_energy_type(energy, f"consume({consumer}, {energy!r})")
        return self._send("consume", parse_address(consumer), energy, gas=LOOK_UP_GAS)

    def consume_match(self, index: int, energy: int) -> Receipt:
        """As `Ledger.consume_match`."""
        check_energy_type(energy, f"consume_match({index!r}, {energy!r})")
        return self._send("consume_match", check_count(index, "match"), energy)

    def confirm_deliveries(self, first: int, energies: Sequence[int]) -> Receipt:
        """As `Ledger.confirm_deliveries`."""
        words = pack_energies(energies)
        gas = CALL_GAS + CONFIRMATION_GAS * len(energies)
        return self._send("confirm_deliveries", check_count(first, "first match"), words, gas=gas)

    def confirm_matches(self, first: int, count: int) -> Receipt:
        """As `Ledger.confirm_matches`."""
        check_count(first, "first match")
        gas = CALL_GAS + CONFIRMATION_GAS * min(check_count(count, "count"), MAX_BATCH)
        return self._send("confirm_matches", first, count, gas=gas)

    # meters and roles

    def register_meters(self, meters: Sequence[Address]) -> Receipt:
        """As `Ledger.register_meters`."""
        check_batch(meters)
        gas = CALL_GAS + METER_GAS * len(meters)
        return self._send("register_meters", [parse_address(meter) for meter in meters], gas=gas)

    def retire_meter(self, meter: Address) -> Receipt:
        """As `Ledger.retire_meter`."""
        return self._send("retire_meter", parse_address(meter))

    def transfer_ownership(self, new_owner: Address) -> Receipt:
        """As `Ledger.transfer_ownership`."""
        return self._send("transfer_ownership", parse_address(new_owner))

    def accept_ownership(self) -> Receipt:
        """As `Ledger.accept_ownership`."""
        return self._send("accept_ownership")

    def set_aggregator(self, new_aggregator: Address) -> Receipt:
        """As `Ledger.set_aggregator`."""
        return self._send("set_aggregator", parse_address(new_aggregator))

    def set_metering_operator(self, new_operator: Address) -> Receipt:
        """As `Ledger.set_metering_operator`."""
        return self._send("set_metering_operator", parse_address(new_operator))

    def pause(self) -> Receipt:
        """As `Ledger.pause`."""
        return self._send("pause")

    def unpause(self) -> Receipt:
        """As `Ledger.unpause`."""
        return self._send("unpause")

    # reading orders

    def requests_outstanding(self) -> int:
        """As `Ledger.requests_outstanding`."""
        return int(self._call("check_request_counter"))

    def releases_outstanding(self) -> int:
        """As `Ledger.releases_outstanding`."""
        return int(self._call("check_release_counter"))

    def next_request_energy(self) -> int:
        """As `Ledger.next_request_energy`."""
        return int(self._call("get_request_value"))

    def next_release_energy(self) -> int:
        """As `Ledger.next_release_energy`."""
        return int(self._call("get_release_value"))

    def request_energy(self, meter: Address) -> int:
        """As `Ledger.request_energy`."""
        return int(self._call("request", parse_address(meter)))

    def release_energy(self, meter: Address) -> int:
        """As `Ledger.release_energy`."""
        return int(self._call("release", parse_address(meter)))

    def request_slot(self, slot: int) -> tuple[Address, int]:
        """As `Ledger.request_slot`."""
        meter, energy = self._call("pending_requests", check_count(slot, "slot"))
        return meter, energy

    def release_slot(self, slot: int) -> tuple[Address, int]:
        """As `Ledger.release_slot`."""
        meter, energy = self._call("pending_release", check_count(slot, "slot"))
        return meter, energy

    def request_ring(self) -> list[Request]:
        """As `Ledger.request_ring`."""
        return order_lanes(Request, self._ring_words(0, self.request_counter()))

    def release_ring(self) -> list[Release]:
        """As `Ledger.release_ring`."""
        return order_lanes(Release, self._ring_words(WORDS, self.release_counter()))

    def _ring_words(self, first: int, counter: int) -> list[int]:
        # From the storage: a view for each slot would take ten times as long.
        written = min(WORDS, -(-counter // LANES_PER_WORD))
        slot = load_artifact().pending_slot + first
        get, address = self._connection.w3.eth.get_storage_at, self._contract.address
        words = [int.from_bytes(get(address, slot + i, self._block), "big") for i in range(written)]
        return [*words, *(0,) * (WORDS - written)]

    def request_counter(self) -> int:
        """As `Ledger.request_counter`."""
        return int(self._call("request_counter"))

    def release_counter(self) -> int:
        """As `Ledger.release_counter`."""
        return int(self._call("release_counter"))

    # reading matches

    def match_counter(self) -> int:
        """As `Ledger.match_counter`."""
        return int(self._call("match_counter"))

    def match_at(self, index: int) -> Match | None:
        """As `Ledger.match_at`."""
        match = Match(*self._call("match_at", check_count(index, "match")))
        return None if match.producer == ZERO_ADDRESS else match

    def matches_of(self, consumer: Address, since: int = 0) -> list[Match]:
        """As `Ledger.matches_of`."""
        found = self._call(
            "matches_of(address,uint256)", parse_address(consumer), check_count(since, "match")
        )
        return [Match(*match) for match in found]

    def latest_match(self, consumer: Address) -> tuple[Address, int] | None:
        """As `Ledger.latest_match`."""
        producer, energy = self._call("matching", parse_address(consumer))
        return None if producer == ZERO_ADDRESS else (producer, energy)

    # reading meters, period and roles

    def meter(self, address: Address) -> Meter | None:
        """As `Ledger.meter`."""
        meter = parse_address(address)
        number = int(self._call("meter_number", meter))
        return Meter(number, meter, not self._call("is_registered", meter)) if number else None

    def meter_address(self, number: int) -> Address | None:
        """As `Ledger.meter_address`."""
        address: Address = self._call("meter_address", check_count(number, "meter number"))
        return None if address == ZERO_ADDRESS else address

    def meter_count(self) -> int:
        """As `Ledger.meter_count`."""
        return int(self._call("meter_count"))

    def period_length(self) -> int:
        """As `Ledger.period_length`."""
        if self._length is None:  # it never changes
            self._length = int(self._call("period_length"))
        return self._length

    def current_period(self) -> int:
        """As `Ledger.current_period`."""
        return int(self._call("current_period"))

    def signing_period(self) -> int:
        """As `Ledger.signing_period`."""
        return int(self._call("signing_period"))

    def has_signed(self, meter: Address, kind: Kind) -> bool:
        """As `Ledger.has_signed`."""
        return bool(self._call("has_signed", parse_address(meter), int(kind)))

    def order_domain(self) -> OrderDomain:
        """As `Ledger.order_domain`."""
        return OrderDomain(self._connection.chain_id, self.address)

    def paused(self) -> bool:
        """As `Ledger.paused`."""
        return bool(self._call("paused"))

    def owner(self) -> Address:
        """As `Ledger.owner`."""
        return str(self._call("owner"))

    def pending_owner(self) -> Address:
        """As `Ledger.pending_owner`."""
        return str(self._call("pending_owner"))

    def aggregator(self) -> Address:
        """As `Ledger.aggregator`."""
        return str(self._call("aggregator"))

    def metering_operator(self) -> Address:
        """As `Ledger.metering_operator`."""
        return str(self._call("metering_operator"))

    # calls and events

    def _call(self, function: str, *arguments: Any) -> Any:
        try:
            return self._contract.functions[function](*arguments).call(
                self._connection.viewer, "latest" if self._block is None else self._block
            )
        except Web3Exception as error:
            if isinstance(error, BadFunctionCallOutput):
                self._connection.verify(self.address)
            raise refusal(error, function) from error

    def _send(
        self, function: str, *arguments: Any, gas: int = CALL_GAS, in_period: bool = False
    ) -> Receipt:
        return self._read(
            self._sender.send(
                self._account,
                self.address,
                self._contract.encode_abi(function, arguments),
                gas,
                f"{function}({', '.join(_shown(argument) for argument in arguments)})",
                key=None if self._key is None else self._named(self._key),
                # A post that is mined in the next period would be an order of that one.
                period_length=self.period_length() if in_period else 0,
                announce=self._announce,
            )
        )

    def _named(self, key: str) -> str:
        return f"{self.address} {key}"

    def _read(self, receipt: TxReceipt) -> Receipt:
        return Receipt(
            self._decoded(receipt["logs"]),
            gas_used=receipt["gasUsed"],
            transaction=receipt["transactionHash"].to_0x_hex(),
            block=receipt["blockNumber"],
        )

    @staticmethod
    def _decoded(logs: Sequence[LogReceipt]) -> tuple[Event, ...]:
        return tuple(decode([bytes(topic) for topic in log["topics"]], log["data"]) for log in logs)


def _matching_gas(max_matches: int) -> int:
    return MATCH_GAS * min(check_count(max_matches, "max_matches"), MAX_BATCH)


def _shown(argument: Any) -> str:
    return f"{len(argument)} items" if isinstance(argument, list) else str(argument)
