"""The desk: takes readings by the rule, and keeps them until their orders are posted.

One SQLite file for each market. What a method has written is on the disk when it
returns, and a reading, its order, the rest that is carried over and the
adjustment are written together or not at all. So a desk that is started again
goes on where it was: no energy is lost, and none is counted twice.

Energies of readings are microwatt-hours, of orders Wh; times are microseconds
since 1970-01-01 00:00 UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY, Address
from energy_chain.meters.live.desk import (
    TAKEN,
    TOLD,
    Adjustment,
    DeskRule,
    Known,
    Missing,
    Verdict,
    judge,
    last_over,
)
from energy_chain.meters.measurements import EPOCH, MICROSECOND
from energy_chain.meters.orders import Netting
from energy_chain.meters.readings import Reading
from energy_chain.sqlite_files import (
    about_table,
    claim,
    make_private,
    read_about,
    reading,
    sqlite_engine,
    writing,
)

FORMAT = "1"
"""Of the file; another one is not read."""

_METADATA = MetaData()
about = about_table(_METADATA)
readings = Table(
    "readings",
    _METADATA,
    Column("meter", String, primary_key=True),
    Column("start", Integer, primary_key=True),
    Column("consumption", Integer, nullable=False),
    Column("production", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("received_at", Integer, nullable=False),
)
Index("readings_of_time", readings.c.start)
rests = Table(
    "rests",
    _METADATA,
    Column("meter", String, primary_key=True),
    Column("rest", Integer, nullable=False),
)
orders = Table(
    "orders",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("meter", String, nullable=False),
    Column("energy", Integer, nullable=False),
    Column("batch", Integer, index=True),
    sqlite_autoincrement=True,
)
adjustments = Table(
    "adjustments",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("meter", String, nullable=False),
    Column("start", Integer, nullable=False),
    Column("was", Integer),
    Column("is", Integer, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("order_energy", Integer, nullable=False),
    Column("order", Integer, index=True),
    sqlite_autoincrement=True,
)
missing = Table(
    "missing",
    _METADATA,
    Column("meter", String, primary_key=True),
    Column("start", Integer, primary_key=True),
)
batches = Table(
    "batches",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("period", Integer, nullable=False),
    Column("sent_at", Integer, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("account", String),
    Column("transaction", String),
    Column("block", Integer),
    sqlite_autoincrement=True,
)
OPEN, POSTED, DROPPED = "open", "posted", "dropped"


@dataclass(frozen=True, slots=True)
class DueOrder:
    """An order that waits to be posted: Wh, positive surplus."""

    id: int
    meter: str
    energy: int


@dataclass(frozen=True, slots=True)
class DeskBatch:
    """Orders that are posted together.

    Attributes:
        id: counts up.
        begun_at: when it was noted.
        account: who posts them; None where an earlier version has not noted it.
        transaction: hash of the one that has posted them; None while that is not known.
        block: the number of its block.
    """

    id: int
    begun_at: datetime
    account: Address | None
    transaction: str | None
    block: int | None


class Desk:
    """Readings in, orders out.

    Attributes:
        id: of its file; no other desk has it, also not one that is made anew at the same place.
        rule: the numbers.
        begin: start of the first period of which readings are taken.
    """

    def __init__(self, engine: Engine, rule: DeskRule, begin: datetime, id: str = "") -> None:
        """What `open` has prepared."""
        self._engine = engine
        self.rule = rule
        self.begin = begin
        self.id = id

    @classmethod
    def open(cls, path: Path, market: str, rule: DeskRule, now: datetime) -> Desk:
        """Opens a file, and makes it where there is none.

        Args:
            path: of the file; its folder is made where needed.
            market: what tells the market from every other.
            rule: the numbers; the period is that of the file for good.
            now: a new file takes readings of periods that are not over now, and later ones.

        Raises:
            InvalidInput: the file cannot be used, or is of another market or period.
        """
        make_private(path, "--store")
        engine = sqlite_engine(path)
        period = rule.period // MICROSECOND
        wanted = {"format": FORMAT, "market": market, "period": str(period)}
        fresh = {**wanted, "begin": str(_micros(now) // period * period)}
        desk = cls(engine, rule, now)
        try:
            found = claim(engine, path, _METADATA, about, fresh)
            if not wanted.items() <= found.items():
                raise InvalidInput(
                    f"{path} is of another market, of a chain that has begun anew since, or of "
                    "another period: move it away, or give --store another file"
                )
        except InvalidInput:
            desk.close()
            raise
        desk.begin, desk.id = _time(int(found["begin"])), found["id"]
        return desk

    @classmethod
    def existing(cls, path: Path, market: str) -> Desk:
        """Opens a file that is there, to look at what it tells.

        Raises:
            InvalidInput: there is none, it cannot be used, or it is of another market.
        """
        if not path.is_file():
            raise InvalidInput(
                f"{path} is not there: energy-chain operator feed makes it, or give --store FILE"
            )
        engine = sqlite_engine(path)
        try:
            found = read_about(engine, path, about)
            if (found.get("format"), found.get("market")) != (FORMAT, market):
                raise InvalidInput(f"{path} is of another market: give --store another file")
        except InvalidInput:
            engine.dispose()
            raise
        rule = DeskRule(int(found["period"]) * MICROSECOND, timedelta(0))
        return cls(engine, rule, _time(int(found["begin"])), found.get("id", ""))

    def close(self) -> None:
        """Closes the file."""
        self._engine.dispose()

    # readings

    def take(self, reading: Reading, received_at: datetime, revision: int = 0) -> Verdict:
        """Takes a reading by the rule, and says what became of it.

        Args:
            reading: of one meter and period.
            received_at: when it came.
            revision: the number of the correction, 0 where meters do not count them.
        """
        start = _micros(reading.start)
        with self._writing() as connection:
            known = self._known(connection, reading.meter, start)
            verdict = judge(reading, revision, received_at, known, self.begin, self.rule)
            if verdict is Verdict.REPEATED and known and revision > known.revision:
                self._keep(connection, reading, start, revision, received_at)
            if verdict not in TAKEN:
                return verdict
            self._keep(connection, reading, start, revision, received_at)
            net = reading.production - reading.consumption
            was = known.net if known else None
            energy = self._net(connection, reading.meter, net - (was or 0))
            order = self._order(connection, reading.meter, energy)
            if verdict in TOLD:
                connection.execute(
                    insert(adjustments).values(
                        meter=reading.meter,
                        start=start,
                        was=was,
                        **{"is": net},
                        received_at=_micros(received_at),
                        reason=verdict.value,
                        order_energy=energy,
                        order=order,
                    )
                )
        return verdict

    def overdue(self, meters: Sequence[str], now: datetime) -> list[Missing]:
        """The readings whose deadline has passed without them; each is told once.

        Args:
            meters: those that are expected to send readings.
            now: the time.
        """
        period = self.rule.period // MICROSECOND
        last = _micros(last_over(now, self.rule))
        found = []
        with self._writing() as connection:
            told = connection.scalar(select(about.c.value).where(about.c.name == "told"))
            first = _micros(self.begin) if told is None else int(told) + period
            # Older ones could not be taken any more.
            first = max(first, last - self.rule.keep // MICROSECOND // period * period)
            for start in range(first, last + 1, period):
                there = set(
                    connection.scalars(select(readings.c.meter).where(readings.c.start == start))
                )
                found += [Missing(m, _time(start)) for m in meters if m not in there]
            if last >= first:
                _remember(connection, "told", str(last))
            if found:
                rows = [{"meter": gap.meter, "start": _micros(gap.period_start)} for gap in found]
                connection.execute(upsert(missing).on_conflict_do_nothing(), rows)
            oldest = _micros(now - self.rule.keep) - 2 * period
            connection.execute(delete(readings).where(readings.c.start < oldest))
        return found

    def ready(self, meters: Sequence[str], now: datetime) -> bool:
        """Whether to post: orders wait, and no reading that they could wait for is to come in time.

        That is when all meters have sent the latest period that is over, or its deadline is over.
        """
        period = self.rule.period
        latest = EPOCH + ((now - EPOCH) // period - 1) * period
        with self._reading() as connection:
            if not connection.scalar(select(orders.c.id).where(orders.c.batch.is_(None)).limit(1)):
                return False
            if now > latest + period + self.rule.deadline:
                return True
            there = set(
                connection.scalars(
                    select(readings.c.meter).where(readings.c.start == _micros(latest))
                )
            )
        return there.issuperset(meters)

    # orders

    def due(self, limit: int) -> tuple[list[DueOrder], list[DueOrder]]:
        """Orders that wait, the oldest first: up to `limit` surpluses and as many needs."""
        waiting = select(orders).where(orders.c.batch.is_(None)).order_by(orders.c.id).limit(limit)
        with self._reading() as connection:
            surpluses, needs = (
                [
                    DueOrder(row.id, row.meter, row.energy)
                    for row in connection.execute(waiting.where(side))
                ]
                for side in (orders.c.energy > 0, orders.c.energy < 0)
            )
        return surpluses, needs

    def begin_batch(self, ids: Sequence[int], period: int, now: datetime, account: Address) -> int:
        """Notes that orders are about to be posted in a delivery period. Returns the batch's id."""
        with self._writing() as connection:
            made = connection.execute(
                insert(batches).values(
                    period=period, sent_at=_micros(now), state=OPEN, account=account
                )
            )
            (batch,) = made.inserted_primary_key or (0,)
            connection.execute(
                update(orders)
                .where(orders.c.id.in_(ids) & orders.c.batch.is_(None))
                .values(batch=batch)
            )
        return int(batch)

    def posted(self, batch: int, transaction: str, block: int, period: int | None) -> None:
        """The orders of a batch are posted: in the period that was noted, or in another one."""
        told = {"state": POSTED, "transaction": transaction, "block": block}
        if period is not None:
            told["period"] = period
        with self._writing() as connection:
            connection.execute(update(batches).where(batches.c.id == batch).values(**told))

    def reopen_batch(self, batch: int) -> None:
        """A batch that was posted is no longer in the chain: it is not known what becomes of it."""
        told = {"state": OPEN, "transaction": None, "block": None}
        with self._writing() as connection:
            connection.execute(update(batches).where(batches.c.id == batch).values(**told))

    def drop_batch(self, batch: int) -> None:
        """A batch was not posted, and never will be: its orders wait again."""
        with self._writing() as connection:
            connection.execute(update(batches).where(batches.c.id == batch).values(state=DROPPED))
            connection.execute(update(orders).where(orders.c.batch == batch).values(batch=None))

    def has_open_batches(self) -> bool:
        """Whether there are batches of which it is not known whether they were posted."""
        wanted = select(batches.c.id).where(batches.c.state == OPEN).limit(1)
        with self._reading() as connection:
            return connection.scalar(wanted) is not None

    def unsettled_batches(self, since: datetime) -> list[DeskBatch]:
        """Batches that a look at the chain can say something new of, the oldest first.

        Those that are open, and those that were posted since `since`.
        """
        recent = (batches.c.state == POSTED) & (batches.c.sent_at >= _micros(since))
        known = batches.c.transaction.is_not(None) & batches.c.block.is_not(None)
        wanted = select(batches).where((batches.c.state == OPEN) | (recent & known))
        with self._reading() as connection:
            return [
                DeskBatch(
                    row.id,
                    _time(row.sent_at),
                    row.account,
                    row.transaction if row.state == POSTED else None,
                    row.block,
                )
                for row in connection.execute(wanted.order_by(batches.c.id))
            ]

    # what is told

    def adjustments(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Adjustment]]:
        """Adjustments with their numbers, behind number `after`, the oldest first."""
        is_ = adjustments.c["is"]
        wanted = (
            select(adjustments, is_.label("is_"), batches.c.period)
            .select_from(
                adjustments.outerjoin(orders, adjustments.c.order == orders.c.id).outerjoin(
                    batches, (orders.c.batch == batches.c.id) & (batches.c.state == POSTED)
                )
            )
            .where(adjustments.c.id > after)
            .order_by(adjustments.c.id)
            .limit(limit)
        )
        with self._reading() as connection:
            return [
                (
                    row.id,
                    Adjustment(
                        row.meter,
                        _time(row.start),
                        row.was,
                        row.is_,
                        _time(row.received_at),
                        row.period,
                        row.order_energy,
                        Verdict(row.reason),
                    ),
                )
                for row in connection.execute(wanted)
            ]

    def all_adjustments(self) -> Iterator[Adjustment]:
        """All adjustments, the oldest first."""
        after = 0
        while page := self.adjustments(after):
            yield from (adjustment for _, adjustment in page)
            after = page[-1][0]

    def missing(self) -> list[Missing]:
        """The readings that were missing at their deadlines, and have not come since."""
        wanted = (
            select(missing)
            .where(
                ~select(readings.c.meter)
                .where(
                    (readings.c.meter == missing.c.meter) & (readings.c.start == missing.c.start)
                )
                .exists()
            )
            .order_by(missing.c.start, missing.c.meter)
        )
        with self._reading() as connection:
            return [Missing(row.meter, _time(row.start)) for row in connection.execute(wanted)]

    def waiting(self) -> int:
        """How many orders are not known to be posted."""
        counted = (
            select(func.count())
            .select_from(orders.outerjoin(batches, orders.c.batch == batches.c.id))
            .where(orders.c.batch.is_(None) | (batches.c.state == OPEN))
        )
        with self._reading() as connection:
            return int(connection.scalar(counted) or 0)

    # inside

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self._engine)

    def _writing(self) -> AbstractContextManager[Connection]:
        return writing(self._engine)

    @staticmethod
    def _known(connection: Connection, meter: str, start: int) -> Known | None:
        wanted = (readings.c.meter == meter) & (readings.c.start == start)
        row = connection.execute(select(readings).where(wanted)).first()
        return Known(row.consumption, row.production, row.revision) if row else None

    @staticmethod
    def _keep(
        connection: Connection, reading: Reading, start: int, revision: int, received_at: datetime
    ) -> None:
        values = {
            "consumption": reading.consumption,
            "production": reading.production,
            "revision": revision,
            "received_at": _micros(received_at),
        }
        fresh = upsert(readings).values(meter=reading.meter, start=start, **values)
        connection.execute(fresh.on_conflict_do_update(["meter", "start"], set_=values))

    @staticmethod
    def _net(connection: Connection, meter: str, energy: int) -> int:
        """The order that an energy in microwatt-hours gives, in Wh; the rest is carried over."""
        before = connection.scalar(select(rests.c.rest).where(rests.c.meter == meter))
        netting = Netting({meter: before or 0})
        order = netting.order(meter, energy)
        rest = netting.rests[meter]
        fresh = upsert(rests).values(meter=meter, rest=rest)
        connection.execute(fresh.on_conflict_do_update(["meter"], set_={"rest": rest}))
        return order

    @staticmethod
    def _order(connection: Connection, meter: str, energy: int) -> int | None:
        """Notes orders of an energy in Wh, as few as it takes; the id of the first."""
        first, sign = None, 1 if energy > 0 else -1
        left = abs(energy)
        while left:
            part = min(left, MAX_ENERGY)
            made = connection.execute(insert(orders).values(meter=meter, energy=sign * part))
            (id,) = made.inserted_primary_key or (0,)
            first = first or int(id)
            left -= part
        return first


def _remember(connection: Connection, name: str, value: str) -> None:
    fresh = upsert(about).values(name=name, value=value)
    connection.execute(fresh.on_conflict_do_update(["name"], set_={"value": value}))


def _micros(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def _time(microseconds: int) -> datetime:
    return EPOCH + microseconds * MICROSECOND
