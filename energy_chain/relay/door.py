"""What comes in: a signed order is looked over, and remembered before it is answered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import ceil
from time import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from energy_chain.errors import (
    AlreadyPosted,
    DeadlinePassed,
    InvalidEnergy,
    InvalidInput,
    LimitPriceNotZero,
    MarketRefusal,
    MeterIsRetired,
    OtherPeriod,
    SignatureHigh,
    SignerNotRegistered,
)
from energy_chain.relay.market import RelayMarket
from energy_chain.relay.schemas import Problem, SignedOrderIn
from energy_chain.relay.settings import RelaySettings
from energy_chain.relay.store import NewOrder, SlotTaken, Store, StoredOrder
from energy_chain.signing import (
    HIGHEST_S,
    Kind,
    OrderDomain,
    OrderTerms,
    SignedOrder,
    digest,
    signer_of,
    signing_length,
)

BAD_REQUEST = 400
CONFLICT = 409
UNPROCESSABLE = 422
TOO_MANY = 429
UNAVAILABLE = 503

KINDS = {"request": Kind.REQUEST, "release": Kind.RELEASE}


class Refused(Exception):
    """A request that is not done: an HTTP status, and what to say."""

    def __init__(self, status: int, problem: Problem, retry_after: int | None = None) -> None:
        super().__init__(problem.error)
        self.status = status
        self.problem = problem
        self.retry_after = retry_after


class Door:
    """Takes orders in. Several threads may use it."""

    def __init__(
        self,
        market: RelayMarket,
        store: Store,
        settings: RelaySettings,
        clock: Callable[[], float],
    ) -> None:
        """A door that dates what it takes by `clock`, in Unix seconds."""
        self._market = market
        self._store = store
        self._settings = settings
        self._clock = clock
        self._domain = market.order_domain()
        self._length = signing_length(market.period_length())
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._client_rate = parse(settings.client_rate)
        self._meter_rate = parse(settings.meter_rate)

    @property
    def domain(self) -> OrderDomain:
        """What signatures must be made for."""
        return self._domain

    def count_client(self, address: str) -> None:
        """Counts a request of a client.

        Raises:
            Refused: it has made too many.
        """
        self._count(self._client_rate, "client", address)

    def admit(self, given: SignedOrderIn) -> tuple[StoredOrder, bool]:
        """Takes an order in. Returns it as it stands, and whether it is new.

        Raises:
            Refused: it is not good, or another one is in its way.
            ChainError: the chain cannot be asked.
        """
        self._check_domain(given)
        signed = _signed(given)
        id = receipt_id(signed, self._domain)
        known = self._store.get(id)
        if known is not None:
            return known, False
        current = self._check_terms(signed)
        meter, number = self._signer(signed)
        if given.meter is not None and given.meter.lower() != meter.lower():
            raise Refused(
                UNPROCESSABLE,
                Problem(
                    error=f"the order is signed by {meter}, not by {given.meter}",
                    remedy="name the meter that signed, or none",
                ),
            )
        self._count(self._meter_rate, "meter", meter)
        kind, period = signed.terms.kind, signed.terms.period
        other = self._store.in_the_way(number, kind, period)
        if other is not None and other.id != id:
            raise _taken(other)
        if other is None and period == current and self._market.has_signed(meter, kind):
            raise _refusal(AlreadyPosted, CONFLICT)
        if self._store.accepted() >= self._settings.most_waiting:
            seconds = max(1, round(self._settings.batch_seconds))
            raise Refused(
                UNAVAILABLE,
                Problem(
                    error=f"{self._settings.most_waiting} orders wait already",
                    remedy="try again later, at another relay, or post the order yourself",
                ),
                seconds,
            )
        try:
            return self._store.add(NewOrder(id, meter, number, signed), self._clock())
        except SlotTaken as taken:
            raise _taken(taken.order) from taken

    def _check_domain(self, given: SignedOrderIn) -> None:
        here = self._domain
        if given.chain_id != here.chain_id or given.contract.lower() != here.contract.lower():
            raise Refused(
                UNPROCESSABLE,
                Problem(
                    error=f"the order is for {given.contract} on chain {given.chain_id}",
                    remedy=f"sign for {here.contract} on chain {here.chain_id}, or find the relay "
                    "of that market",
                ),
            )

    def _check_terms(self, signed: SignedOrder) -> int:
        """Refuses what the contract would refuse, in its order. Returns the period that is now."""
        terms = signed.terms
        if signed.s > HIGHEST_S:
            raise _refusal(SignatureHigh)
        if terms.energy == 0:
            raise _refusal(InvalidEnergy)
        if terms.limit_price:
            raise _refusal(LimitPriceNotZero)
        _, now = self._market.latest()
        current = now // self._length
        if terms.period not in (current, current + 1):
            raise _refusal(OtherPeriod)
        begins, ends = terms.period * self._length, (terms.period + 1) * self._length
        if terms.deadline > ends or terms.deadline < begins:
            raise Refused(
                UNPROCESSABLE,
                Problem(
                    error=f"deadline {terms.deadline} is not in period {terms.period}",
                    remedy=f"give {begins} to {ends}",
                ),
            )
        if terms.deadline < now:
            raise _refusal(DeadlinePassed)
        return current

    def _signer(self, signed: SignedOrder) -> tuple[str, int]:
        """Address and number of the meter that signed."""
        address = signer_of(signed, self._domain)
        meter = self._market.meter(address) if address else None
        if meter is None:
            raise _refusal(SignerNotRegistered)
        if meter.retired:
            raise _refusal(MeterIsRetired)
        return meter.address, meter.number

    def _count(self, rate: RateLimitItem, what: str, name: str) -> None:
        if not self._limiter.hit(rate, what, name):
            # The library counts by the clock on the wall.
            ends = self._limiter.get_window_stats(rate, what, name).reset_time
            raise Refused(
                TOO_MANY,
                Problem(error=f"more than {rate} from one {what}", remedy="try again later"),
                max(1, ceil(ends - time())),
            )


def receipt_id(signed: SignedOrder, domain: OrderDomain) -> str:
    """The receipt id of an order: the same for the same order and signature, however written."""
    words = signed.r.to_bytes(32, "big") + signed.vs.to_bytes(32, "big")
    return hashlib.sha256(digest(signed.terms, domain) + words).hexdigest()


def _signed(given: SignedOrderIn) -> SignedOrder:
    terms = OrderTerms(
        KINDS[given.kind], given.energy_wh, given.period, given.deadline, given.limit_price
    )
    try:
        return SignedOrder.from_signature(terms, given.signature)
    except InvalidInput as error:
        said, _, remedy = str(error).partition(": ")
        raise Refused(UNPROCESSABLE, Problem(error=said, remedy=remedy)) from error


def _refusal(kind: type[MarketRefusal], status: int = UNPROCESSABLE) -> Refused:
    problem = Problem(error=kind.reason, remedy=kind.remedy, reason=kind.reason)
    return Refused(status, problem)


def _taken(other: StoredOrder) -> Refused:
    return Refused(
        CONFLICT,
        Problem(
            error="another order of that meter, kind and period was accepted before",
            remedy=AlreadyPosted.remedy,
            reason=AlreadyPosted.reason,
            receipt=other.id,
        ),
    )
