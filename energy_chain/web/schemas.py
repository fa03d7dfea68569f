"""What goes in and out over HTTP.

Energies are whole Wh in fields that end in `_wh`, times ISO 8601 in UTC, wei decimal
numbers in text, as they are larger than many readers of JSON can count.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from energy_chain.record.lists import Key

ADDRESS = "^0x[0-9a-fA-F]{40}$"
HASH = "^0x[0-9a-fA-F]{64}$"
TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
AFTER = "^[0-9]{1,18}(-[0-9]{1,18}){0,2}$"
LARGEST = 2**62
LARGEST_PERIOD = 2**37
"""Times the longest period it is still a number of 64 bits."""
MOST_ROWS = 500
MOST_BUCKETS = 1_000
"""Of an answer: a week of quarters of an hour has 676 at the most, a month of hours 745."""

Time = Annotated[str, Field(pattern=TIME, examples=["2026-11-23T06:00:00Z"])]
Wei = Annotated[str, Field(pattern="^[0-9]+$")]
By = Literal["period", "hour", "day"]
KindName = Literal["request", "release"]
Number = Annotated[int, Field(ge=0, le=LARGEST)]
PeriodNumber = Annotated[int, Field(ge=0, le=LARGEST_PERIOD)]


# ------------------------------------------------------------------ in


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Query):
    """From when to when; the whole of the record where it is not said."""

    from_: Annotated[
        Time | None, Field(alias="from", description="ISO 8601, with Z or an offset.")
    ] = None
    to: Annotated[Time | None, Field(description="ISO 8601, itself not included.")] = None


class Zone(_Query):
    """A time zone."""

    timezone: Annotated[
        str,
        Field(max_length=64, description="Whose days are meant, by its name in the tz database."),
    ] = "UTC"


class UsageQuery(Range, Zone):
    """Which usage."""

    by: Annotated[By, Field(description="How long the buckets are.")] = "day"


class FlowQuery(Range):
    """Which flow; of the latest period with orders where no range is given."""

    top: Annotated[
        int, Field(ge=1, le=MOST_ROWS, description="Homes on each side; the rest is one.")
    ] = 12


class List(Range):
    """Which rows of a list."""

    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="The most rows.")] = 50
    after: Annotated[str | None, Field(pattern=AFTER, description="`next` of the page before.")] = (
        None
    )

    @property
    def key(self) -> Key | None:
        """The key that `after` stands for."""
        return None if self.after is None else tuple(map(int, self.after.split("-")))


class Ordered(List):
    """Which rows of a list, and how they are ordered."""

    order: Literal["latest", "oldest"] = "latest"


class OrdersQuery(Ordered):
    """Which orders."""

    meter: Number | None = None
    period: PeriodNumber | None = None
    kind: KindName | None = None


class MatchesQuery(Ordered):
    """Which matches; of a meter on either side."""

    meter: Number | None = None
    period: PeriodNumber | None = None


class BillQuery(Zone):
    """Which bill."""

    month: Annotated[str, Field(pattern="^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-11"])]


# ------------------------------------------------------------------ out


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(_Out):
    """Why a request was not answered, and what helps."""

    error: str
    remedy: str


class AsOf(_Out):
    """The last block that the answer knows of; null before the first was read."""

    block: int | None
    hash: str | None
    time: Time | None


class Span(_Out):
    """From when to when an answer is."""

    start: Time
    end: Time


class Node(_Out):
    """Whether the chain's node answers; null where this market is not followed."""

    reachable: bool | None
    since: Time | None
    said: Annotated[str, Field(description="What is wrong; empty without trouble.")]


class Audit(_Out):
    """What the audit of the record says."""

    state: Literal["clean", "difference", "running", "not yet"]
    as_of_block: int | None
    checked_at: Time | None
    said: str


class Listed(_Out):
    """A market in the list of all."""

    address: str
    chain_id: int
    network: str
    period_length: Annotated[int, Field(description="Seconds; 0 where orders never expire.")]
    began: Time | None
    as_of: AsOf


class MarketsOut(_Out):
    """The markets of the record."""

    markets: list[Listed]


class Period(_Out):
    """A delivery period."""

    number: int
    start: Time
    end: Time


class QueueOut(_Out):
    """Orders that may still be matched, and Wh that is left of them."""

    outstanding: int
    wh: int


class Queues(_Out):
    """Both sides of the market."""

    requests: QueueOut
    releases: QueueOut


class Summed(_Out):
    """What all meters did."""

    requests: int
    releases: int
    matches: int
    offered_wh: int
    needed_wh: int
    matched_wh: int
    own_wh: Annotated[int, Field(description="Of matches of a home with itself.")]
    drawn_wh: Annotated[int, Field(description="Confirmed as drawn, of these matches.")]
    transactions: int
    gas: int
    cost_wei: Wei


class Totals(Summed):
    """The same, and what follows from it.

    The chain knows what crossed the meters, and nothing of what a home used of its own
    before: the two fractions are of that.
    """

    self_sufficiency: Annotated[float | None, Field(description="Matched of needed.")]
    self_consumption: Annotated[float | None, Field(description="Matched of offered.")]
    gas_per_kwh: Annotated[int | None, Field(description="Of matched energy.")]
    cost_wei_per_kwh: Annotated[Wei | None, Field(description="Of matched energy.")]


class MarketOut(Listed):
    """A market, as of the last block that was read."""

    meters: Annotated[int, Field(description="Ever registered.")]
    retired: int
    current_period: Period | None
    queues: Queues
    totals: Totals
    paused: bool
    node: Node
    audit: Audit


class Bucket(Summed, Span):
    """What all meters did in an hour, a day, a delivery period."""


class UsageOut(_Out):
    """What all meters did, over time."""

    by: By
    timezone: str
    range: Span
    buckets: list[Bucket]
    totals: Totals
    as_of: AsOf


class MeterSums(_Out):
    """What a meter did. What is pending may still be matched; the rest is the grid's."""

    requests: int
    releases: int
    matches: int
    offered_wh: int
    needed_wh: int
    sold_wh: int
    bought_wh: int
    own_wh: int
    drawn_wh: int
    pending_offered_wh: int
    pending_needed_wh: int
    to_grid_wh: int
    from_grid_wh: int


class MeterRow(MeterSums):
    """A meter and what it did."""

    number: int
    address: str
    retired: bool


class MetersOut(_Out):
    """Meters by their numbers."""

    range: Span
    meters: list[MeterRow]
    next: str | None
    as_of: AsOf


class MeterOut(_Out):
    """A meter, and what it did in a range."""

    number: int
    address: str
    retired: bool
    registered: Annotated[Time, Field(description="When it was registered first.")]
    range: Span
    totals: MeterSums
    as_of: AsOf


class MeterBucket(MeterSums, Span):
    """What a meter did in an hour, a day, a delivery period."""


class MeterUsageOut(_Out):
    """What a meter did, over time."""

    number: int
    by: By
    timezone: str
    range: Span
    buckets: list[MeterBucket]
    totals: MeterSums
    as_of: AsOf


class Partner(_Out):
    """A neighbour that a meter traded with."""

    meter: int
    address: str | None
    sold_wh: int
    bought_wh: int
    matches: int


class PartnersOut(_Out):
    """The neighbours that a meter traded with in a range, the most energy first."""

    range: Span
    partners: list[Partner]
    as_of: AsOf


class Producer(_Out):
    """Where energy comes from: a home, or those that are not shown one by one."""

    meter: int | None
    address: str | None
    homes: int
    sold_wh: int
    pending_wh: int
    to_grid_wh: int


class Consumer(_Out):
    """Where energy goes: a home, or those that are not shown one by one."""

    meter: int | None
    address: str | None
    homes: int
    bought_wh: int
    pending_wh: int
    from_grid_wh: int


class FlowOut(_Out):
    """Who produced and who needed, what was matched, and what the grid took and gave."""

    range: Span
    period: Period | None
    producers: list[Producer]
    consumers: list[Consumer]
    matched_wh: int
    to_grid_wh: int
    from_grid_wh: int
    pending_requests_wh: int
    pending_releases_wh: int
    as_of: AsOf


class _Traced(_Out):
    block: int
    time: Time
    transaction: str | None


class OrderRow(_Traced):
    """An order and what became of it."""

    kind: KindName
    counter: int
    meter: int | None
    address: str | None
    energy_wh: int
    matched_wh: int
    state: Literal["pending", "matched", "expired"]
    signed: bool
    period: int
    period_start: Time | None


class OrdersOut(_Out):
    """Orders."""

    orders: list[OrderRow]
    next: str | None
    as_of: AsOf


class MatchRow(_Traced):
    """A match."""

    index: int
    producer: int
    consumer: int
    producer_address: str | None
    consumer_address: str | None
    energy_wh: int
    drawn_wh: int
    period: int
    period_start: Time | None


class MatchesOut(_Out):
    """Matches."""

    matches: list[MatchRow]
    next: str | None
    as_of: AsOf


class Confirmation(_Traced):
    """Energy of a match that was confirmed as drawn."""

    energy_wh: int


class MatchOut(_Out):
    """A match, the orders that it fills, and what was confirmed of it."""

    match: MatchRow
    request: OrderRow | None
    release: OrderRow | None
    confirmations: list[Confirmation]
    as_of: AsOf


class TransactionRow(_Out):
    """A transaction that made the market log something."""

    hash: str
    block: int
    time: Time
    sender: str
    gas_used: int
    gas_price_wei: Wei
    cost_wei: Wei
    events: Annotated[list[str], Field(description="Their names.")]


class TransactionsOut(_Out):
    """Transactions."""

    transactions: list[TransactionRow]
    next: str | None
    as_of: AsOf


class EventOut(_Out):
    """Something that the contract logged."""

    name: str
    log_index: int
    said: Annotated[str, Field(description="In words.")]
    arguments: dict[str, Any]


class TransactionOut(_Out):
    """A transaction and what it made the market log."""

    transaction: TransactionRow
    events: list[EventOut]
    as_of: AsOf


class PeriodRow(Bucket):
    """A delivery period that somebody's call opened."""

    number: int
    block: int
    time: Time
    transaction: str | None
    expired_requests: Annotated[int, Field(description="Of the periods before, as it was opened.")]
    expired_releases: Annotated[int, Field(description="Of the periods before, as it was opened.")]


class PeriodsOut(_Out):
    """Delivery periods."""

    periods: list[PeriodRow]
    next: str | None
    as_of: AsOf


class PeriodOut(_Out):
    """A delivery period."""

    period: PeriodRow
    as_of: AsOf


class HealthOut(_Out):
    """How the server is."""

    status: Literal["ok", "degraded"]
    markets: int
    trouble: Annotated[str | None, Field(description="Of the node that is followed.")]
