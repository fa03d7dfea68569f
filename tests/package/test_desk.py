"""Readings that come one by one: the rule, the desk that keeps it, and the poster behind it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain.errors import InvalidInput, MarketPaused, NodeUnreachable, ReceiptTimeout
from energy_chain.events import Receipt, ReleasesPosted, RequestsPosted
from energy_chain.feeding import WATCHED, Posted, Poster
from energy_chain.market import MAX_ENERGY, Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.meters import Reading
from energy_chain.meters.live.desk import Adjustment, DeskRule, Missing, Verdict
from energy_chain.meters.live.desk_store import Desk
from energy_chain.meters.readings import UWH

from ..keyed_calls import KeyedCalls

OWNER, AGGREGATOR, OPERATOR = (f"0x{n:040X}" for n in range(1, 4))
HOMES = [f"0x{n:040X}" for n in range(11, 14)]
NAMES = ["a", "b", "c"]
NUMBERS = {"a": 1, "b": 2, "c": 3}
QUARTER = timedelta(minutes=15)
NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)
RULE = DeskRule(QUARTER)
MINUTE = timedelta(minutes=1)


def reading(
    number: int = 0, consumption: float = 0, production: float = 0, meter: str = "a"
) -> Reading:
    """Of a quarter from noon on, in Wh."""
    energies = (round(energy * UWH) for energy in (consumption, production))
    return Reading(meter, NOON + number * QUARTER, *energies)


def after(number: int, minutes: float = 1) -> datetime:
    """So many minutes after the end of a quarter."""
    return NOON + (number + 1) * QUARTER + minutes * MINUTE


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk.open(tmp_path / "desk.sqlite", "market", RULE, NOON)
    yield desk
    desk.close()


def due(desk: Desk) -> list[tuple[str, int]]:
    surpluses, needs = desk.due(100)
    return [
        (order.meter, order.energy) for order in sorted((*surpluses, *needs), key=lambda o: o.id)
    ]


# ------------------------------------------------------------------ the rule


def test_a_reading_in_time_becomes_an_order_and_nothing_else(desk: Desk) -> None:
    assert desk.take(reading(0, 100, 30), after(0, 5)) is Verdict.IN_TIME
    assert due(desk) == [("a", -70)]
    assert desk.adjustments() == []


def test_a_reading_after_its_deadline_becomes_an_order_and_is_told(desk: Desk) -> None:
    received = after(0, 5) + timedelta(seconds=1)
    assert desk.take(reading(0, 0, 40), received) is Verdict.LATE
    assert due(desk) == [("a", 40)]
    [(_, told)] = desk.adjustments()
    assert told == Adjustment("a", NOON, None, 40 * UWH, received, None, 40, Verdict.LATE)


def test_a_correction_becomes_an_order_of_the_difference_and_is_told(desk: Desk) -> None:
    desk.take(reading(0, 100), after(0))
    assert desk.take(reading(0, 80, 30), after(3)) is Verdict.CORRECTION
    assert due(desk) == [("a", -100), ("a", 50)]
    [(_, told)] = desk.adjustments()
    assert (told.was, told.is_) == (-100 * UWH, -50 * UWH)
    assert (told.order_energy, told.reason) == (50, Verdict.CORRECTION)


def test_a_correction_below_a_watt_hour_is_carried_over(desk: Desk) -> None:
    desk.take(reading(0, 100), after(0))
    desk.take(reading(0, 100.6), after(0, 2))
    assert due(desk) == [("a", -100)]
    [(_, told)] = desk.adjustments()
    assert told.order_energy == 0
    desk.take(reading(1, 10.4), after(1))
    assert due(desk) == [("a", -100), ("a", -11)]


def test_a_repeated_reading_changes_nothing(desk: Desk) -> None:
    desk.take(reading(0, 100), after(0))
    assert desk.take(reading(0, 100), after(7)) is Verdict.REPEATED
    assert due(desk) == [("a", -100)]
    assert desk.adjustments() == []


def test_a_lower_revision_comes_too_late_to_correct(desk: Desk) -> None:
    desk.take(reading(0, 100), after(0), revision=2)
    assert desk.take(reading(0, 90), after(1), revision=1) is Verdict.OUTDATED
    assert desk.take(reading(0, 100), after(1), revision=3) is Verdict.REPEATED
    assert desk.take(reading(0, 80), after(1), revision=2) is Verdict.OUTDATED
    assert due(desk) == [("a", -100)]


@pytest.mark.parametrize(
    ("wrong", "received", "verdict"),
    [
        (reading(-1, 5), after(0), Verdict.BEFORE_START),
        (reading(5, 5), after(3), Verdict.NOT_OVER),
        (reading(0, 5), after(0) + timedelta(days=36), Verdict.TOO_OLD),
        (replace(reading(0, 5), start=NOON + MINUTE), after(3), Verdict.OFF_GRID),
        (replace(reading(0, 5), consumption=-1), after(0), Verdict.OUT_OF_RANGE),
        (reading(0, MAX_ENERGY + 1), after(0), Verdict.OUT_OF_RANGE),
    ],
    ids=lambda value: value.value if isinstance(value, Verdict) else "",
)
def test_what_the_rule_does_not_allow_changes_nothing(
    desk: Desk, wrong: Reading, received: datetime, verdict: Verdict
) -> None:
    assert desk.take(wrong, received) is verdict
    assert due(desk) == []


def test_a_clock_that_is_a_little_ahead_does_no_harm(desk: Desk) -> None:
    assert desk.take(reading(0, 5), after(0, -1)) is Verdict.IN_TIME
    assert desk.take(reading(1, 5), after(1, -1.1)) is Verdict.NOT_OVER


def test_a_correction_of_more_than_an_order_holds_becomes_several(desk: Desk) -> None:
    desk.take(reading(0, MAX_ENERGY), after(0))
    desk.take(reading(0, 0, MAX_ENERGY), after(0))
    assert due(desk) == [("a", -MAX_ENERGY), ("a", MAX_ENERGY), ("a", MAX_ENERGY)]


def test_what_is_missing_at_its_deadline_is_told_once_and_counts_nowhere(desk: Desk) -> None:
    desk.take(reading(0, 5, meter="b"), after(0))
    assert desk.overdue(["a", "b"], after(0, 4)) == []
    assert desk.overdue(["a", "b"], after(0, 5)) == [Missing("a", NOON)]
    assert desk.overdue(["a", "b"], after(0, 9)) == []
    assert due(desk) == [("b", -5)]
    assert desk.missing() == [Missing("a", NOON)]
    desk.take(reading(0, 5), after(0, 9))
    assert desk.missing() == []


def test_gaps_of_a_time_when_the_desk_was_closed_are_told(desk: Desk) -> None:
    told = desk.overdue(["a"], after(3, 6))
    assert [gap.period_start for gap in told] == [NOON + n * QUARTER for n in range(4)]


def test_what_is_too_old_to_be_corrected_is_forgotten(desk: Desk) -> None:
    desk.take(reading(0, 5), after(0))
    desk.overdue([], after(0) + timedelta(days=36))
    assert desk.take(reading(0, 9), after(0) + timedelta(days=36)) is Verdict.TOO_OLD


def test_orders_wait_for_all_meters_or_the_deadline(desk: Desk) -> None:
    assert not desk.ready(NAMES, after(0, 9))
    for meter in NAMES:
        assert not desk.ready(NAMES, after(0, 3))
        desk.take(reading(0, 5, meter=meter), after(0, 3))
    assert desk.ready(NAMES, after(0, 3))


def test_orders_wait_no_longer_than_the_deadline(desk: Desk) -> None:
    desk.take(reading(0, 5), after(0))
    assert not desk.ready(NAMES, after(0, 5))
    assert desk.ready(NAMES, after(0, 5) + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"deadline": QUARTER}, "give less than a period of 0:15:00"),
        ({"deadline": -MINUTE}, "give less than a period"),
        ({"keep": MINUTE}, "give more than the deadline"),
        ({"period": timedelta(minutes=7)}, "it must divide a day"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(
    wrong: dict[str, timedelta], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        replace(RULE, **wrong)


# ------------------------------------------------------------------ the file


def test_a_desk_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk.open(path, "market", RULE, NOON)
    desk.take(reading(0, 0.6), after(0))
    desk.close()
    desk = Desk.open(path, "market", RULE, after(5))
    assert desk.begin == NOON
    desk.take(reading(1, 0.6), after(1))
    assert due(desk) == [("a", -1)]
    assert desk.take(reading(0, 0.6), after(1)) is Verdict.REPEATED
    desk.close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("other", [{"market": "other"}, {"rule": DeskRule(timedelta(hours=1))}])
def test_a_file_of_another_market_or_period_is_refused(
    tmp_path: Path, other: dict[str, object]
) -> None:
    given = {"path": tmp_path / "desk.sqlite", "market": "market", "rule": RULE, "now": NOON}
    Desk.open(**given).close()  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="of another market"):
        Desk.open(**{**given, **other})  # type: ignore[arg-type]


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "desk.sqlite").write_text("no database " * 100)
    with pytest.raises(InvalidInput, match="cannot be used as a store"):
        Desk.open(tmp_path / "desk.sqlite", "market", RULE, NOON)
    with pytest.raises(InvalidInput, match="cannot be opened"):
        Desk.open(tmp_path, "market", RULE, NOON)


def test_a_desk_can_be_looked_at_later(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk.open(path, "market", RULE, NOON)
    desk.take(reading(0, 5), after(0, 9))
    desk.close()
    again = Desk.existing(path, "market")
    assert [each.order_energy for each in again.all_adjustments()] == [-5]
    assert (again.begin, again.rule.period) == (NOON, QUARTER)
    again.close()


def test_a_desk_that_is_not_there_is_not_made_to_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    with pytest.raises(InvalidInput, match="is not there"):
        Desk.existing(path, "market")
    assert not path.exists()
    Desk.open(path, "market", RULE, NOON).close()
    with pytest.raises(InvalidInput, match="is of another market"):
        Desk.existing(path, "other")
    other = tmp_path / "other.sqlite"
    other.write_text("no database " * 100)
    with pytest.raises(InvalidInput, match="cannot be used as a store"):
        Desk.existing(other, "market")


# ------------------------------------------------------------------ posting


class Chain(MemoryLedger):
    """A market in memory whose calls can get stuck, and be undone. Implements `FeedMarket`."""

    calls: KeyedCalls
    now: list[int]
    fault: list[tuple[str, Exception]]
    key: str = ""

    @classmethod
    def new(cls) -> Chain:
        now = [int(NOON.timestamp())]
        market = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, 900, lambda: now[0])
        market.as_account(OWNER).register_meters(HOMES)
        here = cls(market._book, OPERATOR)
        here.calls, here.now = KeyedCalls(market.signing_period, lambda _: True), now
        here.fault = []
        return here

    def as_account(self, account: str) -> Chain:
        other = type(self)(self._book, account)
        other.calls, other.now, other.fault = self.calls, self.now, self.fault
        return other

    def keyed(self, key: str) -> Chain:
        other = self.as_account(self._account)
        other.key = f"{self._account} {key}"
        return other

    def outcome(self, key: str) -> Receipt | None:
        return self.calls.outcome(f"{self._account} {key}")

    def receipts(self, first_block: int, last_block: int) -> Iterator[Receipt]:
        for call in self.calls.calls.values():
            if call.receipt and first_block <= call.receipt.block <= last_block:
                yield call.receipt

    def post_and_match(
        self, requests: Sequence[Request], releases: Sequence[Release], max_matches: int
    ) -> Receipt:
        assert self.key
        where, error = self.fault.pop(0) if self.fault else ("", Exception())
        if where == "before":
            raise error

        def make(hash: str) -> Receipt:
            nonlocal where
            if where == "sent":
                where = ""
                raise error
            receipt = MemoryLedger.post_and_match(self, requests, releases, max_matches)
            return replace(receipt, transaction=hash, block=len(self._book.history or ()))

        receipt: Receipt = self.calls.send(self.key, make)
        if where == "mined":
            raise error
        return receipt

    def reorganise(self) -> None:
        """Takes back the latest block, which posted something in a market without anything else."""
        book = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, 900, lambda: self.now[0])._book
        MemoryLedger(book, OWNER).register_meters(HOMES)
        for field in fields(book):
            setattr(self._book, field.name, getattr(book, field.name))
        self.calls.dropped(len(book.history or ()))

    def posted(self) -> Counter[int]:
        """Net Wh by meter number of all that was ever posted."""
        total: Counter[int] = Counter()
        for receipt in self._book.history:
            for event in receipt.events:
                if isinstance(event, RequestsPosted | ReleasesPosted):
                    sign = 1 if isinstance(event, RequestsPosted) else -1
                    for order in event.orders:
                        total[order.meter] += sign * order.energy
        return total


@pytest.fixture
def blocks() -> Chain:
    return Chain.new()


def post(desk: Desk, blocks: Chain, now: datetime) -> int:
    """Posts what is due; returns how many orders that were."""
    blocks.now[0] = int(now.timestamp())
    return sum(
        done.requests + done.releases
        for done in Poster(desk, blocks, NUMBERS).post(now)
        if isinstance(done, Posted)
    )


def test_orders_are_posted_once_and_matched(desk: Desk, blocks: Chain) -> None:
    desk.take(reading(0, 100), after(0))
    desk.take(reading(0, 0, 60, "b"), after(0))
    [done] = Poster(desk, blocks, NUMBERS).post(after(0))
    assert isinstance(done, Posted)
    assert (done.requests, done.releases, done.offered, done.needed) == (1, 1, 60, 100)
    assert [fill.energy for fill in done.receipt.fills] == [60]
    assert post(desk, blocks, after(0)) == 0
    assert desk.waiting() == 0


def test_an_adjustment_says_in_which_period_its_order_was_posted(desk: Desk, blocks: Chain) -> None:
    desk.take(reading(0, 100), after(0, 9))
    [(_, waiting)] = desk.adjustments()
    assert waiting.order_period is None
    post(desk, blocks, after(2))
    [(number, told)] = desk.adjustments()
    assert told.order_period == blocks.current_period() == int(after(2).timestamp()) // 900
    assert desk.adjustments(after=number) == []


def test_more_orders_than_a_batch_holds_are_posted_in_several(desk: Desk, blocks: Chain) -> None:
    for number in range(300):
        desk.take(reading(number, 1 + number), after(number))
    assert post(desk, blocks, after(300)) == 300
    assert blocks.posted() == {1: -sum(range(1, 301))}


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("before", MarketPaused()),
        ("before", NodeUnreachable()),
        ("sent", NodeUnreachable()),
        ("sent", ReceiptTimeout()),
        ("mined", ReceiptTimeout()),
        ("mined", NodeUnreachable()),
        ("sent", KeyError("a bug, or the end of the process")),
        ("mined", KeyError("a bug, or the end of the process")),
    ],
)
@pytest.mark.parametrize("later", [timedelta(0), QUARTER], ids=["same period", "next period"])
def test_whatever_happens_to_a_batch_its_orders_are_posted_once(
    desk: Desk, blocks: Chain, where: str, error: Exception, later: timedelta
) -> None:
    desk.take(reading(0, 100), after(0))
    blocks.fault.append((where, error))
    with pytest.raises(type(error)):
        post(desk, blocks, after(0))
    post(desk, blocks, after(0) + later)
    post(desk, blocks, after(0) + later)
    assert blocks.posted() == {1: -100}
    assert desk.waiting() == 0


def test_a_batch_that_may_be_mined_later_is_asked_for_again(desk: Desk, blocks: Chain) -> None:
    desk.take(reading(0, 100), after(0, 9))
    blocks.calls.mines = False
    with pytest.raises(ReceiptTimeout):
        post(desk, blocks, after(0))
    assert post(desk, blocks, after(0, 5)) == 0
    assert desk.has_open_batches()
    blocks.calls.mines = True
    assert post(desk, blocks, after(0, 6)) == 0
    assert post(desk, blocks, after(0, 6)) == 0
    assert not desk.has_open_batches()
    assert (blocks.posted(), desk.waiting()) == ({1: -100}, 0)
    [(_, told)] = desk.adjustments()
    assert told.order_period == int(after(0).timestamp()) // 900


def test_orders_of_a_batch_that_was_withdrawn_are_of_the_next_period(
    desk: Desk, blocks: Chain
) -> None:
    desk.take(reading(0, 100), after(0, 9))
    blocks.calls.mines = False
    with pytest.raises(ReceiptTimeout):
        post(desk, blocks, after(0))
    blocks.calls.mines = True
    assert post(desk, blocks, after(1)) == 1
    assert blocks.posted() == {1: -100}
    [(_, told)] = desk.adjustments()
    assert told.order_period == int(after(1).timestamp()) // 900


@pytest.mark.parametrize("later", [timedelta(0), QUARTER], ids=["same period", "next period"])
def test_a_batch_that_a_reorganisation_has_undone_is_posted_again(
    desk: Desk, blocks: Chain, later: timedelta
) -> None:
    desk.take(reading(0, 100), after(0))
    assert post(desk, blocks, after(0)) == 1
    blocks.reorganise()
    assert blocks.posted() == {}
    post(desk, blocks, after(0) + later)
    post(desk, blocks, after(0) + later)
    assert blocks.posted() == {1: -100}
    assert desk.waiting() == 0


def test_a_batch_that_is_under_way_again_is_open(desk: Desk, blocks: Chain) -> None:
    desk.take(reading(0, 100), after(0))
    post(desk, blocks, after(0))
    blocks.reorganise()
    blocks.calls.mines = False
    assert post(desk, blocks, after(0)) == 0
    assert desk.waiting() == 1


def test_what_was_posted_is_not_posted_again_when_the_outbox_is_lost(
    desk: Desk, blocks: Chain
) -> None:
    desk.take(reading(0, 100), after(0))
    post(desk, blocks, after(0))
    forgetful = Chain(blocks._book, OPERATOR)
    forgetful.calls = KeyedCalls(blocks.signing_period, lambda _: True)
    forgetful.now, forgetful.fault = blocks.now, []
    forgetful.receipts = blocks.receipts  # type: ignore[method-assign]
    assert post(desk, forgetful, after(0)) == 0
    assert desk.waiting() == 0


def test_a_batch_is_looked_for_no_longer_than_it_can_be_undone(desk: Desk, blocks: Chain) -> None:
    desk.take(reading(0, 100), after(0))
    post(desk, blocks, after(0))
    assert len(desk.unsettled_batches(after(0))) == 1
    assert desk.unsettled_batches(after(0) + timedelta.resolution) == []
    blocks.calls.calls.clear()
    assert post(desk, blocks, after(0) + WATCHED + MINUTE) == 0


def test_a_batch_is_asked_for_as_the_account_that_has_posted_it(desk: Desk, blocks: Chain) -> None:
    desk.take(reading(0, 100), after(0))
    blocks.fault.append(("mined", KeyError()))
    with pytest.raises(KeyError):
        post(desk, blocks, after(0))
    blocks.as_account(OWNER).set_metering_operator(AGGREGATOR)
    assert post(desk, blocks.as_account(AGGREGATOR), after(0)) == 0
    assert (blocks.posted(), desk.waiting()) == ({1: -100}, 0)


def test_a_new_desk_is_none_that_was_there_before(tmp_path: Path, blocks: Chain) -> None:
    for energy in (100, 30):
        desk = Desk.open(tmp_path / "desk.sqlite", "market", RULE, NOON)
        desk.take(reading(0, energy), after(0))
        assert post(desk, blocks, after(0)) == 1
        desk.close()
        (tmp_path / "desk.sqlite").unlink()
    assert blocks.posted() == {1: -130}


def test_a_desk_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path, blocks: Chain) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk.open(path, "market", RULE, NOON)
    desk.take(reading(0, 100), after(0))
    post(desk, blocks, after(0))
    desk.close()
    with sqlite3.connect(path) as file:
        file.execute("DELETE FROM about WHERE name = 'id'")
        for column in ("account", "block"):
            file.execute(f"ALTER TABLE batches DROP COLUMN {column}")
    file.close()
    first = Desk.open(path, "market", RULE, NOON)
    first.close()
    again = Desk.open(path, "market", RULE, NOON)
    assert again.id == first.id != desk.id
    assert len(again.id) == 32
    again.take(reading(0, 120), after(0))
    # What was posted under another identity is not looked for under this one.
    assert post(again, blocks, after(0)) == 1
    assert blocks.posted() == {1: -120}
    again.close()


def test_orders_of_a_meter_whose_account_is_not_known_are_not_lost(
    desk: Desk, blocks: Chain
) -> None:
    desk.take(reading(0, 100, meter="stranger"), after(0))
    with pytest.raises(InvalidInput, match="orders of stranger wait"):
        post(desk, blocks, after(0))
    assert desk.waiting() == 1


NETS = st.integers(-3 * UWH, 3 * UWH)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 2), st.integers(0, 5), NETS),
        st.tuples(st.just("again"), st.integers(0, 20), st.just(0), st.just(0)),
        st.tuples(st.just("post"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("crash"), st.sampled_from([0, 1, 2]), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("mines"), st.integers(0, 1), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(EVENTS)
def test_orders_add_up_to_the_readings_as_they_stand(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, int, int]]
) -> None:
    """In any order of arrival, with repeats, corrections, crashes, restarts and what gets stuck."""
    path, blocks = tmp_path_factory.mktemp("desk") / "desk.sqlite", Chain.new()
    desk = Desk.open(path, "market", RULE, NOON)
    now, taken, final = after(6), [], {}
    for kind, first, second, net in events:
        now += MINUTE
        if kind == "take":
            one = Reading(NAMES[first], NOON + second * QUARTER, max(-net, 0), max(net, 0))
            taken.append(one)
        elif kind == "again" and taken:
            one = taken[first % len(taken)]
        elif kind == "restart":
            desk.close()
            desk = Desk.open(path, "market", RULE, now)
            continue
        elif kind == "mines":
            blocks.calls.mines = bool(first)
            continue
        elif kind == "wait":
            now += QUARTER
            continue
        else:
            if kind == "crash":
                where = ("before", "sent", "mined")[first]
                blocks.fault.append((where, (KeyError(), ReceiptTimeout())[second]))
            try:
                post(desk, blocks, now)
            except (KeyError, ReceiptTimeout):
                continue
            blocks.fault.clear()
            continue
        desk.take(one, now)
        final[one.meter, one.start] = one.production - one.consumption
    blocks.fault.clear()
    blocks.calls.mines = True
    for _ in range(3):
        post(desk, blocks, now + QUARTER)
    assert desk.waiting() == 0
    for meter, number in NUMBERS.items():
        exact = sum(net for (name, _), net in final.items() if name == meter)
        assert abs(blocks.posted()[number] * UWH - exact) < UWH
    desk.close()
