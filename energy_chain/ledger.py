"""What nodes need of a market, whoever keeps it.

`MemoryLedger` keeps it in memory, `chain.ContractLedger` in the contract; one
conformance suite runs over both. A ledger acts for one account: `account` is
the sender of every call that changes something.

Each such call returns a `Receipt`, or raises a `MarketRefusal` and has changed
nothing. Energies are whole Wh. What is read is as of the latest block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from energy_chain.events import Receipt
from energy_chain.market import Address, Match, Meter, Release, Request
from energy_chain.signing import Kind, OrderDomain, SignedOrder


class Ledger(Protocol):
    """One account's access to a market."""

    @property
    def account(self) -> Address:
        """The account that this ledger acts for."""

    def as_account(self, account: Address) -> Ledger:
        """The same market, acted on by another account."""

    def keyed(self, key: str) -> Ledger:
        """The same market, whose next call that changes something has its effect once for `key`.

        Whoever does not know what became of a call, after a crash or a lost answer, makes it again
        under the same key: a call that took effect is not made twice, and its receipt is returned.
        """

    # posting

    def post_request(self, meter: Address, energy: int) -> Receipt:
        """Posts a surplus of `energy` Wh. Sender: that meter or the metering operator."""

    def post_release(self, meter: Address, energy: int) -> Receipt:
        """Posts a need of `energy` Wh. Sender: that meter or the metering operator."""

    def post_requests(self, requests: Sequence[Request]) -> Receipt:
        """Posts up to 256 requests at once. Sender: the metering operator."""

    def post_releases(self, releases: Sequence[Release]) -> Receipt:
        """Posts up to 256 releases at once. Sender: the metering operator."""

    def post_signed(self, orders: Sequence[SignedOrder], all_or_nothing: bool = False) -> Receipt:
        """Posts up to 100 orders of one period that their meters have signed. Sender: anyone.

        An order that is not good is skipped, and a `SignedOrderSkipped` says why; or it refuses
        all of them. Each meter has one order of each kind a period.
        """

    # matching

    def match_pending(self, max_matches: int) -> Receipt:
        """Matches first come, first served, up to `max_matches` (1..256). Sender: anyone."""

    def match_energy(self, energy: int) -> Receipt:
        """Matches `energy` Wh, no more and no less. Sender: the aggregator."""

    def post_and_match(
        self, requests: Sequence[Request], releases: Sequence[Release], max_matches: int
    ) -> Receipt:
        """Posts up to 256 requests and 256 releases, then matches up to `max_matches` (0..256).

        As `post_requests`, `post_releases` and `match_pending` would, all or nothing; a side may be
        empty, and 0 only posts. Sender: the metering operator.
        """

    def max_matches(self) -> int:
        """The most matches that one call can write here: 256, or what fits a block."""

    # consuming

    def consume(self, consumer: Address, energy: int) -> Receipt:
        """Confirms Wh drawn from the consumer's latest match. Sender: it or the operator."""

    def consume_match(self, index: int, energy: int) -> Receipt:
        """Confirms Wh drawn from a match. Sender: its consumer or the metering operator."""

    def confirm_deliveries(self, first: int, energies: Sequence[int]) -> Receipt:
        """Confirms Wh drawn from up to 256 matches from `first`, a multiple of four, on.

        0 leaves a match alone. Sender: the metering operator.
        """

    def confirm_matches(self, first: int, count: int) -> Receipt:
        """Confirms all that is left of `count` (1..256) matches from match `first` on as drawn.

        Sender: the metering operator.
        """

    # meters and roles

    def register_meters(self, meters: Sequence[Address]) -> Receipt:
        """Registers up to 256 meters. Sender: the owner or the metering operator."""

    def retire_meter(self, meter: Address) -> Receipt:
        """Retires a meter. Sender: the owner or the metering operator."""

    def transfer_ownership(self, new_owner: Address) -> Receipt:
        """Offers the ownership; the zero address withdraws an offer. Sender: the owner."""

    def accept_ownership(self) -> Receipt:
        """Takes the ownership that was offered to the sender."""

    def set_aggregator(self, new_aggregator: Address) -> Receipt:
        """Appoints the aggregator. Sender: the owner."""

    def set_metering_operator(self, new_operator: Address) -> Receipt:
        """Appoints the metering operator. Sender: the owner."""

    def pause(self) -> Receipt:
        """Stops posting and matching. Sender: the owner."""

    def unpause(self) -> Receipt:
        """Lets posting and matching go on. Sender: the owner."""

    # reading orders

    def requests_outstanding(self) -> int:
        """How many requests of this period are not matched whole."""

    def releases_outstanding(self) -> int:
        """How many releases of this period are not matched whole."""

    def next_request_energy(self) -> int:
        """Wh left of the request next in line; 0 when there is none."""

    def next_release_energy(self) -> int:
        """Wh left of the release next in line; 0 when there is none."""

    def request_energy(self, meter: Address) -> int:
        """Wh that a meter offers and that are not matched yet."""

    def release_energy(self, meter: Address) -> int:
        """Wh that a meter needs and that are not matched yet."""

    def request_slot(self, slot: int) -> tuple[Address, int]:
        """Meter and Wh in a slot of the ring of requests, pending or not; zeros when unwritten."""

    def release_slot(self, slot: int) -> tuple[Address, int]:
        """Meter and Wh in a slot of the ring of releases, pending or not; zeros when unwritten."""

    def request_ring(self) -> list[Request]:
        """What each slot of the ring of requests holds, pending or not; zeros when unwritten."""

    def release_ring(self) -> list[Release]:
        """What each slot of the ring of releases holds, pending or not; zeros when unwritten."""

    def request_counter(self) -> int:
        """Requests ever posted."""

    def release_counter(self) -> int:
        """Releases ever posted."""

    # reading matches

    def match_counter(self) -> int:
        """Matches ever written."""

    def match_at(self, index: int) -> Match | None:
        """A match, or None when it is not kept."""

    def matches_of(self, consumer: Address, since: int = 0) -> list[Match]:
        """A consumer's matches that are kept, from match `since` on, latest first."""

    def latest_match(self, consumer: Address) -> tuple[Address, int] | None:
        """Producer and Wh not consumed yet of a consumer's latest match; None without one."""

    # reading meters, period and roles

    def meter(self, address: Address) -> Meter | None:
        """A meter, registered or retired."""

    def meter_address(self, number: int) -> Address | None:
        """The address of a meter number, registered or retired."""

    def meter_count(self) -> int:
        """Meters ever registered, retired ones included."""

    def period_length(self) -> int:
        """Seconds of a delivery period; 0 when orders never expire."""

    def current_period(self) -> int:
        """Number of the delivery period of now: Unix time // period length."""

    def signing_period(self) -> int:
        """Number of the period that an order must be signed for to be good now.

        As `current_period`; Unix time // 900 in a market whose orders never expire.
        """

    def has_signed(self, meter: Address, kind: Kind) -> bool:
        """Whether a signed order of that meter and kind was posted in this period."""

    def order_domain(self) -> OrderDomain:
        """What a signature must be made for."""

    def paused(self) -> bool:
        """Whether posting and matching are stopped."""

    def owner(self) -> Address:
        """The account that appoints the other roles."""

    def pending_owner(self) -> Address:
        """The account that the ownership was offered to; the zero address without an offer."""

    def aggregator(self) -> Address:
        """The account that may call `match_energy`."""

    def metering_operator(self) -> Address:
        """The account that registers meters, and may post and confirm for them."""
