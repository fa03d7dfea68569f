"""A bill: one meter's month, with all that it takes to check it against the chain.

It is a JSON document (`Bill`) that a person can read, print (`bill_page`) and keep.
Who has the bill, and nothing else of ours, can check
    that it adds up: energies, matches, money, and the hashes (`faults_of`);
    that its root is the one that somebody has published (compare it);
    that its root follows from the chain: `verify` reads the contract's events anew, replays
    them by the rules and adds the month up again.
Prices are not on the chain: a tariff is what its issuer says, and is said to be so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from energy_chain.errors import InvalidInput
from energy_chain.record.check import audit_record
from energy_chain.record.identity import MarketRow
from energy_chain.record.indexer import Indexer
from energy_chain.record.merkle import root_of
from energy_chain.record.queries import MatchLine, Usage
from energy_chain.record.source import MarketSource
from energy_chain.record.statements import (
    Month,
    MonthBook,
    Span,
    Statement,
    close_month,
    matches_root,
    statement_leaf,
)
from energy_chain.record.store import Record

LARGEST = 50_000_000
"""Bytes of a document that is read: a month of a minute's periods has less."""
_HASH = "^0x[0-9a-f]{64}$"
_ADDRESS = "^0x[0-9a-fA-F]{40}$"
_CENT = Decimal("0.01")

Count = Annotated[int, Field(ge=0, lt=2**63)]
Hash = Annotated[str, Field(pattern=_HASH)]
Address = Annotated[str, Field(pattern=_ADDRESS)]
Price = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$")]
Amount = Annotated[str, Field(pattern=r"^-?[0-9]{1,18}\.[0-9]{2}$")]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class MarketOfBill(_Document):
    """Which market it is, and where its history begins. `period_length` is in seconds."""

    network: str
    chain_id: Count
    genesis: Hash
    contract: Address
    first_block: Count
    period_length: Count


class AsOf(_Document):
    """The last block that the bill knows of."""

    block: Count
    hash: Hash
    time: str


class MonthOfBill(_Document):
    """Which month: its name, its zone, when it begins and ends; whether it was over."""

    name: Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}$")]
    timezone: str
    begins: str
    ends: str
    over: bool


class MeterOfBill(_Document):
    """Whose bill it is."""

    number: Annotated[int, Field(ge=1, le=65_535)]
    address: Address


class EnergyOfBill(_Document):
    """Wh: of the meter's requests and releases, and what became of them.

    `own` is in `sold` and in `bought` and left no home; `drawn` is what was confirmed of `bought`.
    """

    offered: Count
    sold: Count
    to_grid: Count
    needed: Count
    bought: Count
    from_grid: Count
    own: Count
    drawn: Count


class MatchOfBill(_Document):
    """A match with a neighbour. Energies in Wh."""

    index: Count
    period: Count
    begins: str
    producer: Count
    consumer: Count
    producer_address: Address
    consumer_address: Address
    energy_wh: Count
    drawn_wh: Count
    block: Count


class Proof(_Document):
    """The hash of the meter's statement, the hashes that lead to the root, and the root."""

    statement: Hash
    path: Annotated[tuple[Hash, ...], Field(max_length=16)]
    root: Hash


class Tariff(_Document):
    """Prices of a kWh, as the issuer of the bill says them: the chain knows none."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    local: Price
    grid: Price
    feed_in: Price


class Money(_Document):
    """What the energies come to by the tariff; what the meter's home is paid is negative."""

    tariff: Tariff
    bought: Amount
    from_grid: Amount
    sold: Amount
    to_grid: Amount
    total: Amount


class Bill(_Document):
    """One meter's month."""

    format: Literal["energy-chain bill 1"]
    market: MarketOfBill
    as_of: AsOf
    month: MonthOfBill
    meter: MeterOfBill
    energy_wh: EnergyOfBill
    matches: tuple[MatchOfBill, ...]
    proof: Proof
    money: Money | None = None

    def to_json(self) -> str:
        """As a JSON document."""
        return self.model_dump_json(indent=2, exclude_none=True)


def read_bill(path: Path) -> Bill:
    """Reads a bill from a file.

    Raises:
        InvalidInput: it cannot be read, or is no bill.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}): give a bill") from error
    if len(content) > LARGEST:
        raise InvalidInput(f"{path} is larger than {LARGEST // 10**6} MB: give a bill")
    try:
        return Bill.model_validate_json(content)
    except ValidationError as error:
        raise InvalidInput(
            f"{path} is no bill: {_fault(error)}; give the JSON document that energy-chain record "
            "bill wrote"
        ) from None


def _fault(error: ValidationError) -> str:
    """The first of what is wrong with a document, and where."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def bills_of(book: MonthBook, tariff: Tariff | None = None) -> Iterator[Bill]:
    """The bills of all meters of a month, by meter number."""
    for meter in book.statements:
        yield bill_of(book, meter, tariff)


def bill_of(book: MonthBook, meter: int, tariff: Tariff | None = None) -> Bill:
    """The bill of a meter number.

    Raises:
        InvalidInput: no such meter was ever registered, or the record says what cannot be.
    """
    statement = book.statements.get(meter)
    if statement is None:
        raise InvalidInput(
            f"no meter {meter} is registered on {book.market.address}: give 1 to "
            f"{len(book.statements)}"
        )
    try:
        return _bill(book, statement, tariff)
    except ValidationError as error:
        raise InvalidInput(
            f"what the record says of meter {meter} makes no bill ({_fault(error)}): "
            "energy-chain audit tells where it is wrong"
        ) from None


def _bill(book: MonthBook, statement: Statement, tariff: Tariff | None) -> Bill:
    energy = _energy(statement.usage)
    return Bill(
        format="energy-chain bill 1",
        market=_market(book.market),
        as_of=AsOf(
            block=book.market.cursor_block,
            hash=book.market.cursor_hash,
            time=book.as_of.isoformat(),
        ),
        month=_month(book.month, book.over),
        meter=MeterOfBill(number=statement.usage.meter, address=statement.address),
        energy_wh=energy,
        matches=tuple(_matches(book, statement)),
        proof=Proof(
            statement=_hex(statement.hash),
            path=tuple(map(_hex, book.tree.proof(statement.hash))),
            root=_hex(book.tree.root),
        ),
        money=_money(energy, tariff) if tariff else None,
    )


def _market(market: MarketRow) -> MarketOfBill:
    return MarketOfBill(
        network=market.network,
        chain_id=market.chain_id,
        genesis=market.genesis,
        contract=market.address,
        first_block=market.first_block,
        period_length=market.period_length,
    )


def _month(month: Month, over: bool) -> MonthOfBill:
    return MonthOfBill(
        name=str(month),
        timezone=month.timezone,
        begins=month.begins.isoformat(),
        ends=month.ends.isoformat(),
        over=over,
    )


def _energy(usage: Usage) -> EnergyOfBill:
    return EnergyOfBill(
        offered=usage.offered,
        sold=usage.sold,
        to_grid=usage.offered - usage.sold,
        needed=usage.needed,
        bought=usage.bought,
        from_grid=usage.needed - usage.bought,
        own=usage.own,
        drawn=usage.drawn,
    )


def _matches(book: MonthBook, statement: Statement) -> Iterator[MatchOfBill]:
    zone = ZoneInfo(book.month.timezone)
    for match in statement.matches:
        begins = datetime.fromtimestamp(match.period * book.market.period_length, UTC)
        yield MatchOfBill(
            index=match.index,
            period=match.period,
            begins=begins.astimezone(zone).isoformat(),
            producer=match.producer,
            consumer=match.consumer,
            producer_address=_party(match, match.producer_address),
            consumer_address=_party(match, match.consumer_address),
            energy_wh=match.energy,
            drawn_wh=match.consumed,
            block=match.block,
        )


def _party(match: MatchLine, address: str | None) -> str:
    if address is None:
        raise InvalidInput(
            f"match {match.index} is of a meter that was never registered: audit the record first"
        )
    return address


def _money(energy: EnergyOfBill, tariff: Tariff) -> Money:
    """Own use is no trade: it is neither bought nor sold."""

    def worth(energy_wh: int, price: str) -> Decimal:
        return (Decimal(price) * energy_wh / 1000).quantize(_CENT, ROUND_HALF_UP)

    bought = worth(energy.bought - energy.own, tariff.local)
    from_grid = worth(energy.from_grid, tariff.grid)
    sold = -worth(energy.sold - energy.own, tariff.local)
    to_grid = -worth(energy.to_grid, tariff.feed_in)
    amounts = (bought, from_grid, sold, to_grid, bought + from_grid + sold + to_grid)
    # A negative zero is no amount that anybody would write.
    written = (f"{amount + 0:.2f}" for amount in amounts)
    names = ("bought", "from_grid", "sold", "to_grid", "total")
    return Money(tariff=tariff, **dict(zip(names, written, strict=True)))


def faults_of(bill: Bill) -> Iterator[str]:
    """What does not add up in a bill, taken by itself."""
    try:
        month = Month.parse(bill.month.name, bill.month.timezone)
        expected = _month(month, bill.month.over)
    except (InvalidInput, ZoneInfoNotFoundError, ValueError, OSError, OverflowError):
        yield f"{bill.month.name} in {bill.month.timezone!r} is no month of a time zone"
        return
    if bill.month != expected:
        yield f"the month begins {expected.begins} and ends {expected.ends}, not as it says"
    energy = bill.energy_wh
    me = bill.meter.number
    for what, told, matches in (
        ("sold", energy.sold, [m.energy_wh for m in bill.matches if m.producer == me]),
        ("bought", energy.bought, [m.energy_wh for m in bill.matches if m.consumer == me]),
        ("drawn", energy.drawn, [m.drawn_wh for m in bill.matches if m.consumer == me]),
        ("own", energy.own, [m.energy_wh for m in bill.matches if m.producer == m.consumer == me]),
    ):
        if told != sum(matches):
            yield f"its matches come to {sum(matches)} Wh {what}, it says {told}"
    strangers = [m.index for m in bill.matches if me not in (m.producer, m.consumer)]
    if strangers:
        yield f"match {strangers[0]} is not of meter {me}"
    usage = Usage(
        me, 0, energy.offered, energy.needed, energy.sold, energy.bought, energy.own, energy.drawn
    )
    if energy != _energy_or_none(usage):
        yield "what is left to the grid or taken from it is not the rest"
    if bill.money and bill.money != _money(energy, bill.money.tariff):
        yield "the amounts do not follow from energies and tariff"
    span = Span(
        bill.market.chain_id,
        bill.market.contract,
        *(int(moment.timestamp()) for moment in (month.begins, month.ends)),
    )
    rows = (
        (m.index, m.period, m.producer, m.consumer, m.energy_wh, m.drawn_wh) for m in bill.matches
    )
    statement = statement_leaf(span, bill.meter.address, usage, matches_root(rows))
    if _hex(statement) != bill.proof.statement:
        yield "the hash of its statement is another one"
    elif _hex(root_of(statement, map(_bytes, bill.proof.path))) != bill.proof.root:
        yield "its proof does not lead to its root"


def _energy_or_none(usage: Usage) -> EnergyOfBill | None:
    return None if usage.sold > usage.offered or usage.bought > usage.needed else _energy(usage)


def verify(
    bill: Bill,
    source: MarketSource,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> str:
    """Checks a bill against the chain: reads all events anew, replays them and adds them up.

    Args:
        bill: the bill, which adds up by itself (`faults_of`).
        source: the market on the chain, from the bill's first block on.
        progress: told the block that was reached, and the one to reach.

    Returns:
        The first difference; empty when everything in the bill follows from the chain.

    Raises:
        ChainError: the chain cannot be read.
        InvalidInput: the bill is of another market.
    """
    identity = source.identity()
    market = bill.market
    for what, here, there in (
        ("chain id", identity.chain_id, market.chain_id),
        ("chain's first block", identity.genesis, market.genesis),
        ("contract", identity.address, market.contract),
    ):
        if here != there:
            raise InvalidInput(
                f"the bill is of another market: its {what} is {there}, here it is {here}; give "
                "the network and contract that the bill names"
            )
    if identity.period_length != market.period_length:
        return f"periods last {identity.period_length} s, not {market.period_length}"
    header = source.header(bill.as_of.block)
    if header is None or header.hash != bill.as_of.hash:
        return f"block {bill.as_of.block} is not {bill.as_of.hash} on the chain, or not any more"
    with Record.temporary() as record:
        Indexer(record, source).update(progress, until=bill.as_of.block)
        row = record.market(market.contract)
        verdict = audit_record(record, row)
        if not verdict.clean:
            return f"what the chain says does not follow from the rules: {verdict.difference}"
        month = Month.parse(bill.month.name, bill.month.timezone)
        book = close_month(record, row, month)
        if _hex(book.tree.root) != bill.proof.root:
            return f"the root of the month is {_hex(book.tree.root)}, not {bill.proof.root}"
        tariff = bill.money.tariff if bill.money else None
        again = bill_of(book, bill.meter.number, tariff)
    told, found = (each.model_dump(exclude={"market": {"network"}}) for each in (bill, again))
    return next(_differences(told, found), "")


def _differences(told: object, found: object, where: str = "") -> Iterator[str]:
    if isinstance(told, dict) and isinstance(found, dict):
        for name in told:
            yield from _differences(told[name], found[name], f"{where}.{name}" if where else name)
    elif isinstance(told, tuple) and isinstance(found, tuple) and len(told) == len(found):
        for number, pair in enumerate(zip(told, found, strict=True)):
            yield from _differences(*pair, f"{where}[{number}]")
    elif told != found:
        yield f"{where}: the bill says {str(told)[:100]}, the chain {str(found)[:100]}"


def _hex(digest: bytes) -> str:
    return f"0x{digest.hex()}"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
