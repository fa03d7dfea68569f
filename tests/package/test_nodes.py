"""Producer, consumer and aggregator: what they post, draw and match, and when they stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from threading import Event, Thread
from typing import Any

import pytest

from energy_chain import (
    AggregatorNode,
    ConsumerNode,
    InvalidInput,
    MatchingReport,
    MemoryLedger,
    ProducerNode,
)
from energy_chain.errors import (
    AboveMatched,
    MarketPaused,
    MeterIsRetired,
    MeterNotRegistered,
    NodeUnreachable,
    NotOurContract,
    NotTheOperator,
    ReceiptTimeout,
    WrongChain,
)
from energy_chain.events import DeliveryConfirmed, Receipt, ReleasePosted, RequestPosted
from energy_chain.schedule import PeriodEnergy, PostingReport
from energy_chain.trouble import ANSWERS_AGAIN

OWNER, AGGREGATOR, OPERATOR, STRANGER = (f"0x{n:040X}" for n in range(1, 5))
PRODUCER, CONSUMER, NEIGHBOUR = (f"0x{n:040X}" for n in range(0xA0, 0xA3))
PERIOD_LENGTH = 60
FIRST = 1_000
TICK = 20
SOON = 0.001
LONG = 30.0
"""Seconds after which a thread has failed to do what it should do at once."""


class Clock:
    """The market's time, in seconds."""

    def __init__(self) -> None:
        self.now = FIRST * PERIOD_LENGTH

    def __call__(self) -> int:
        return self.now


class Ticking(Event):
    """Waiting for it lets the market's time pass instead of one's own."""

    def __init__(self, clock: Clock, stop_at: int = FIRST + 1_000) -> None:
        super().__init__()
        self._clock, self._end = clock, stop_at * PERIOD_LENGTH

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.now += TICK
        if self._clock.now >= self._end:
            self.set()
        return self.is_set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> MemoryLedger:
    """The metering operator's ledger of a market with three meters."""
    ledger = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH, clock)
    ledger.register_meters([PRODUCER, CONSUMER, NEIGHBOUR])
    return ledger.as_account(OPERATOR)


@pytest.fixture
def calls(ledger: MemoryLedger) -> Callable[[], int]:
    """How many calls have changed something so far."""
    return lambda: len(list(ledger.history()))


def posted(ledger: MemoryLedger) -> list[tuple[int, Any]]:
    """The orders posted, each with the period it was posted in."""
    return [
        (receipt.timestamp // PERIOD_LENGTH, event.energy)
        for receipt in ledger.history()
        for event in receipt.events
        if isinstance(event, RequestPosted | ReleasePosted)
    ]


def match(ledger: MemoryLedger, *energies: int) -> None:
    """Matches of the consumer, one for each energy."""
    for energy in energies:
        ledger.post_request(PRODUCER, energy)
        ledger.post_release(CONSUMER, energy)
        ledger.match_pending(1)


# ------------------------------------------------------------------ producer


def test_a_producer_puts_a_request(ledger: MemoryLedger) -> None:
    receipt = ProducerNode(ledger).put_energy_request(PRODUCER, 500)
    assert receipt.events[-1] == RequestPosted(PRODUCER, 0, 500)
    assert ledger.request_energy(PRODUCER) == 500


def test_a_refused_request_is_raised(ledger: MemoryLedger) -> None:
    with pytest.raises(MeterNotRegistered):
        ProducerNode(ledger).put_energy_request(STRANGER, 500)
    with pytest.raises(InvalidInput):
        ProducerNode(ledger).put_energy_request(PRODUCER, 0.5)  # type: ignore[arg-type]


def test_each_surplus_is_offered_in_its_own_period(ledger: MemoryLedger, clock: Clock) -> None:
    surpluses = [PeriodEnergy(FIRST + n, 10 + n) for n in (0, 1, 3)]
    report = ProducerNode(ledger).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert report == PostingReport(posted=3, late=0)
    assert posted(ledger) == [(FIRST, 10), (FIRST + 1, 11), (FIRST + 3, 13)]


def test_what_comes_too_late_is_counted_and_not_posted(ledger: MemoryLedger, clock: Clock) -> None:
    surpluses = [PeriodEnergy(FIRST - 2, 8), PeriodEnergy(FIRST - 1, 9), PeriodEnergy(FIRST, 10)]
    report = ProducerNode(ledger).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert report == PostingReport(posted=1, late=2)
    assert posted(ledger) == [(FIRST, 10)]


def test_nothing_is_no_order_and_never_late(ledger: MemoryLedger, clock: Clock) -> None:
    surpluses = [PeriodEnergy(FIRST - 1, 0), PeriodEnergy(FIRST, 0)]
    report = ProducerNode(ledger).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert report == PostingReport(posted=0, late=0)


def test_a_producer_stops_while_it_waits_for_a_period(ledger: MemoryLedger, clock: Clock) -> None:
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 50, 11)]
    stop = Ticking(clock, stop_at=FIRST + 2)
    report = ProducerNode(ledger).run(PRODUCER, surpluses, stop, SOON)
    assert report == PostingReport(posted=1, late=0)


def test_a_producer_that_is_stopped_posts_nothing(ledger: MemoryLedger, clock: Clock) -> None:
    stop = Ticking(clock)
    stop.set()
    report = ProducerNode(ledger).run(PRODUCER, [PeriodEnergy(FIRST, 10)], stop, SOON)
    assert report == PostingReport(posted=0, late=0)
    assert posted(ledger) == []


def test_a_producer_in_a_thread_stops_when_told(ledger: MemoryLedger) -> None:
    stop, reports = Event(), []
    surpluses = [PeriodEnergy(FIRST + 1, 10)]
    thread = Thread(
        target=lambda: reports.append(ProducerNode(ledger).run(PRODUCER, surpluses, stop, SOON))
    )
    thread.start()
    stop.set()
    thread.join(LONG)
    assert reports == [PostingReport(posted=0, late=0)]


def test_a_refusal_for_good_ends_a_run(ledger: MemoryLedger, clock: Clock) -> None:
    ledger.as_account(OWNER).retire_meter(PRODUCER)
    with pytest.raises(MeterIsRetired):
        ProducerNode(ledger).run(PRODUCER, [PeriodEnergy(FIRST, 10)], Ticking(clock), SOON)


class Later(Ticking):
    """After so many looks something happens."""

    def __init__(self, clock: Clock, looks: int, what: Callable[[], object]) -> None:
        super().__init__(clock)
        self._looks, self._what = looks, what

    def wait(self, timeout: float | None = None) -> bool:
        self._looks -= 1
        if not self._looks:
            self._what()
        return super().wait(timeout)


def test_a_pause_is_waited_for_and_said_once(ledger: MemoryLedger, clock: Clock) -> None:
    owner, troubles = ledger.as_account(OWNER), []
    owner.pause()
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 1, 11), PeriodEnergy(FIRST + 2, 12)]
    stop = Later(clock, 5, owner.unpause)  # in the second period
    report = ProducerNode(ledger).run(PRODUCER, surpluses, stop, SOON, trouble=troubles.append)
    assert report == PostingReport(posted=2, late=1)
    assert posted(ledger) == [(FIRST + 1, 11), (FIRST + 2, 12)]
    assert [said.partition(": wait")[0] for said in troubles] == ["energy: market is paused"]


class Failing:
    """A ledger whose calls fail or whose answers are lost, a few times each.

    As over a chain, a call under a key has its effect once.
    """

    def __init__(self, ledger: MemoryLedger, **faults: list[Exception]) -> None:
        self._ledger, self._faults = ledger, faults
        self._done: dict[str, Receipt] = {}
        self._key = ""

    def keyed(self, key: str) -> Any:
        other = object.__new__(Failing)
        other.__dict__.update(self.__dict__ | {"_key": key})
        return other

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            fault = self._faults.get(name, [])[:1]
            del self._faults.get(name, [])[:1]
            if fault and not isinstance(fault[0], ReceiptTimeout):
                raise fault[0]
            if not self._key:
                done = getattr(self._ledger, name)(*arguments)
            elif (done := self._done.get(self._key)) is None:
                done = self._done[self._key] = getattr(self._ledger, name)(*arguments)
            if fault:
                raise fault[0]
            return done

        return call


def lost(times: int) -> list[Exception]:
    return [ReceiptTimeout(f"its answer was lost, {n} left") for n in range(times)]


def away(times: int) -> list[Exception]:
    return [NodeUnreachable("nobody answers")] * times


@pytest.mark.parametrize("fault", ["current_period", "post_request"])
def test_a_producer_goes_on_when_the_node_is_back(
    ledger: MemoryLedger, clock: Clock, fault: str
) -> None:
    troubles: list[str] = []
    failing: Any = Failing(ledger, **{fault: away(2)})
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 1, 11)]
    report = ProducerNode(failing).run(
        PRODUCER, surpluses, Ticking(clock), SOON, trouble=troubles.append
    )
    assert report == PostingReport(posted=2, late=0)
    assert posted(ledger) == [(FIRST, 10), (FIRST + 1, 11)]
    assert troubles == ["nobody answers", ANSWERS_AGAIN]


def test_what_comes_back_too_late_is_counted(ledger: MemoryLedger, clock: Clock) -> None:
    failing: Any = Failing(ledger, post_request=away(PERIOD_LENGTH // TICK))
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 1, 11)]
    report = ProducerNode(failing).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert report == PostingReport(posted=1, late=1)
    assert posted(ledger) == [(FIRST + 1, 11)]


def test_an_order_whose_answer_is_lost_is_posted_once(ledger: MemoryLedger, clock: Clock) -> None:
    failing: Any = Failing(ledger, post_request=lost(2))
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 1, 11)]
    report = ProducerNode(failing).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert report == PostingReport(posted=2, late=0)
    assert posted(ledger) == [(FIRST, 10), (FIRST + 1, 11)]


def test_an_order_of_which_nobody_knows_at_its_periods_end_is_counted_apart(
    ledger: MemoryLedger, clock: Clock
) -> None:
    failing: Any = Failing(ledger, post_request=lost(PERIOD_LENGTH // TICK))
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 1, 11)]
    report = ProducerNode(failing).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert report == PostingReport(posted=1, late=0, unknown=1)
    assert posted(ledger) == [(FIRST, 10), (FIRST + 1, 11)]


def test_an_order_of_which_nobody_knows_when_it_is_told_to_end_is_counted_apart(
    ledger: MemoryLedger, clock: Clock
) -> None:
    failing: Any = Failing(ledger, post_request=lost(1))
    stop = Later(clock, 1, lambda: stop.set())
    report = ProducerNode(failing).run(PRODUCER, [PeriodEnergy(FIRST, 10)], stop, SOON)
    assert report == PostingReport(posted=0, late=0, unknown=1)


def test_a_producer_that_is_started_again_posts_no_order_twice(
    ledger: MemoryLedger, clock: Clock
) -> None:
    keeping: Any = Failing(ledger)
    for _ in range(2):
        stop = Later(clock, 1, lambda: None)
        stop._end = clock.now + 1
        report = ProducerNode(keeping).run(PRODUCER, [PeriodEnergy(FIRST, 10)], stop, SOON)
        assert report == PostingReport(posted=1, late=0)
    assert posted(ledger) == [(FIRST, 10)]


@pytest.mark.parametrize("error", [WrongChain, NotOurContract])
def test_a_market_that_is_gone_ends_every_node(
    ledger: MemoryLedger, clock: Clock, error: type[Exception]
) -> None:
    for run in (
        lambda gone: ProducerNode(gone).run(
            PRODUCER, [PeriodEnergy(FIRST, 1)], Ticking(clock), SOON
        ),
        lambda gone: ConsumerNode(gone).run(
            CONSUMER, [PeriodEnergy(FIRST, 1)], Ticking(clock), SOON
        ),
        lambda gone: AggregatorNode(gone).run(Ticking(clock), poll_seconds=SOON),
    ):
        gone: Any = Failing(ledger, current_period=[error("gone")], aggregator=[error("gone")])
        with pytest.raises(error):
            run(gone)


def test_a_node_ends_when_the_period_of_its_last_order_is_over(
    ledger: MemoryLedger, clock: Clock
) -> None:
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 2, 12)]
    ProducerNode(ledger).run(PRODUCER, surpluses, Ticking(clock), SOON)
    assert clock.now // PERIOD_LENGTH == FIRST + 3


def test_a_node_without_an_order_waits_for_nothing_more(ledger: MemoryLedger, clock: Clock) -> None:
    late = [PeriodEnergy(FIRST - 1, 9), PeriodEnergy(FIRST, 0)]
    report = ProducerNode(ledger).run(PRODUCER, late, Ticking(clock), SOON)
    assert report == PostingReport(posted=0, late=1)
    assert clock.now // PERIOD_LENGTH == FIRST


def test_every_receipt_of_a_producer_is_reported(ledger: MemoryLedger, clock: Clock) -> None:
    receipts: list[Receipt] = []
    surpluses = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 1, 11)]
    ProducerNode(ledger).run(PRODUCER, surpluses, Ticking(clock), SOON, receipts.append)
    assert receipts == list(ledger.history())[2:]
    assert [receipt.events[-1] for receipt in receipts] == [
        RequestPosted(PRODUCER, 0, 10),
        RequestPosted(PRODUCER, 1, 11),
    ]


# ------------------------------------------------------------------ consumer


def test_a_consumer_puts_a_release(ledger: MemoryLedger) -> None:
    receipt = ConsumerNode(ledger).put_energy_release(CONSUMER, 300)
    assert receipt.events[-1] == ReleasePosted(CONSUMER, 0, 300)
    assert ledger.release_energy(CONSUMER) == 300


def test_a_consumer_finds_its_latest_producer(ledger: MemoryLedger) -> None:
    match(ledger, 5)
    ledger.post_request(NEIGHBOUR, 5)
    ledger.post_release(CONSUMER, 5)
    ledger.match_pending(1)
    assert ConsumerNode(ledger).fetch_target_address(CONSUMER) == NEIGHBOUR


def test_there_is_no_producer_without_a_match(ledger: MemoryLedger) -> None:
    match(ledger, 5)
    assert ConsumerNode(ledger).fetch_target_address(NEIGHBOUR) is None
    assert ConsumerNode(ledger).fetch_target_address(STRANGER) is None


def test_looking_for_a_producer_sends_nothing(
    ledger: MemoryLedger, calls: Callable[[], int]
) -> None:
    match(ledger, 5)
    before = calls()
    ConsumerNode(ledger).fetch_target_address(CONSUMER)
    assert calls() == before


def test_what_was_matched_is_drawn_oldest_first(ledger: MemoryLedger) -> None:
    match(ledger, 5, 7, 6)
    receipts = ConsumerNode(ledger).draw(CONSUMER)
    confirmed = [DeliveryConfirmed(0, 5), DeliveryConfirmed(1, 7), DeliveryConfirmed(2, 6)]
    assert [event for receipt in receipts for event in receipt.events] == confirmed
    assert [m.energy for m in ledger.matches_of(CONSUMER)] == [0, 0, 0]


def test_everything_is_drawn_once(ledger: MemoryLedger) -> None:
    consumer = ConsumerNode(ledger)
    match(ledger, 5)
    consumer.draw(CONSUMER)
    assert consumer.draw(CONSUMER) == []
    match(ledger, 6)
    assert [receipt.events for receipt in consumer.draw(CONSUMER)] == [(DeliveryConfirmed(1, 6),)]


def test_a_consumer_that_was_started_again_draws_only_what_is_left(ledger: MemoryLedger) -> None:
    match(ledger, 5, 6)
    ledger.consume_match(0, 5)
    ledger.consume_match(1, 2)
    receipts = ConsumerNode(ledger).draw(CONSUMER)
    assert [receipt.events for receipt in receipts] == [(DeliveryConfirmed(1, 4),)]


def test_consumers_behind_one_node_do_not_share_what_they_have_seen(ledger: MemoryLedger) -> None:
    consumer = ConsumerNode(ledger)
    ledger.post_request(PRODUCER, 9)
    ledger.post_release(NEIGHBOUR, 4)
    ledger.post_release(CONSUMER, 5)
    ledger.match_pending(2)
    assert len(consumer.draw(CONSUMER)) == 1
    assert len(consumer.draw(NEIGHBOUR)) == 1


def test_a_match_of_somebody_else_is_left_alone(ledger: MemoryLedger) -> None:
    match(ledger, 5)
    assert ConsumerNode(ledger).draw(NEIGHBOUR) == []


def test_a_need_is_asked_for_in_its_own_period_or_counted_as_late(
    ledger: MemoryLedger, clock: Clock
) -> None:
    needs = [PeriodEnergy(FIRST - 1, 9), PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 2, 12)]
    report = ConsumerNode(ledger).run(CONSUMER, needs, Ticking(clock), SOON)
    assert report == PostingReport(posted=2, late=1)
    assert posted(ledger) == [(FIRST, 10), (FIRST + 2, 12)]


def test_what_was_matched_is_drawn_before_the_next_release(
    ledger: MemoryLedger, clock: Clock
) -> None:
    match(ledger, 5)
    ConsumerNode(ledger).run(CONSUMER, [PeriodEnergy(FIRST + 1, 10)], Ticking(clock), SOON)
    kinds = [type(event) for receipt in ledger.history() for event in receipt.events]
    assert kinds.index(DeliveryConfirmed) < len(kinds) - 1
    assert kinds[-1] is ReleasePosted


def test_a_consumer_that_is_stopped_draws_what_is_left(ledger: MemoryLedger, clock: Clock) -> None:
    match(ledger, 5)
    stop = Ticking(clock)
    stop.set()
    assert ConsumerNode(ledger).run(CONSUMER, [], stop, SOON) == PostingReport(0, 0)
    assert ledger.latest_match(CONSUMER) == (PRODUCER, 0)


class Matching(Ticking):
    """While it is waited for, somebody offers and matches what is needed."""

    def __init__(self, clock: Clock, ledger: MemoryLedger, stop_at: int = FIRST + 1_000) -> None:
        super().__init__(clock, stop_at)
        self._ledger = ledger

    def wait(self, timeout: float | None = None) -> bool:
        needed = self._ledger.next_release_energy()
        if needed:
            self._ledger.post_request(PRODUCER, needed)
            self._ledger.match_pending(1)
        return super().wait(timeout)


def test_what_was_matched_is_drawn_in_its_own_period_and_reported(
    ledger: MemoryLedger, clock: Clock
) -> None:
    receipts: list[Receipt] = []
    needs = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 2, 12)]
    stop = Matching(clock, ledger)
    result = ConsumerNode(ledger).run(CONSUMER, needs, stop, SOON, receipts.append)
    assert result == PostingReport(posted=2, late=0)
    seen = [(r.timestamp // PERIOD_LENGTH, r.events[-1]) for r in receipts]
    assert seen == [
        (FIRST, ReleasePosted(CONSUMER, 0, 10)),
        (FIRST, DeliveryConfirmed(0, 10)),
        (FIRST + 2, ReleasePosted(CONSUMER, 1, 12)),
        (FIRST + 2, DeliveryConfirmed(1, 12)),
    ]
    assert clock.now // PERIOD_LENGTH == FIRST + 3


def test_a_consumer_that_is_stopped_meanwhile_draws_what_was_matched_last(
    ledger: MemoryLedger, clock: Clock
) -> None:
    class Once(Matching):
        def wait(self, timeout: float | None = None) -> bool:
            super().wait(timeout)
            self.set()
            return True

    receipts: list[Receipt] = []
    needs = [PeriodEnergy(FIRST, 10), PeriodEnergy(FIRST + 50, 12)]
    stop = Once(clock, ledger)
    result = ConsumerNode(ledger).run(CONSUMER, needs, stop, SOON, receipts.append)
    assert result == PostingReport(posted=1, late=0)
    assert [r.events[-1] for r in receipts] == [
        ReleasePosted(CONSUMER, 0, 10),
        DeliveryConfirmed(0, 10),
    ]


def test_a_match_is_drawn_once_though_the_answer_is_lost(
    ledger: MemoryLedger, clock: Clock
) -> None:
    match(ledger, 5)
    failing: Any = Failing(ledger, consume_match=lost(2))
    troubles: list[str] = []
    needs = [PeriodEnergy(FIRST + 1, 10)]
    result = ConsumerNode(failing).run(
        CONSUMER, needs, Ticking(clock), SOON, trouble=troubles.append
    )
    assert result == PostingReport(posted=1, late=0)
    drawn = [e for r in ledger.history() for e in r.events if isinstance(e, DeliveryConfirmed)]
    assert drawn == [DeliveryConfirmed(0, 5)]
    assert troubles


def test_a_consumer_whose_match_somebody_else_has_drawn_meanwhile_goes_on(
    ledger: MemoryLedger, clock: Clock
) -> None:
    match(ledger, 5)
    failing: Any = Failing(ledger, consume_match=[AboveMatched("consume")])
    result = ConsumerNode(failing).run(
        CONSUMER, [PeriodEnergy(FIRST + 1, 10)], Ticking(clock), SOON
    )
    assert result == PostingReport(posted=1, late=0)
    assert ledger.latest_match(CONSUMER) == (PRODUCER, 0)


def test_a_consumer_draws_at_the_end_when_the_node_is_back(
    ledger: MemoryLedger, clock: Clock
) -> None:
    match(ledger, 5)
    failing: Any = Failing(ledger, matches_of=away(3))
    assert ConsumerNode(failing).run(CONSUMER, [], Ticking(clock), SOON) == PostingReport(0, 0)
    assert ledger.latest_match(CONSUMER) == (PRODUCER, 0)


def test_a_consumer_that_is_stopped_does_not_wait_for_the_node(
    ledger: MemoryLedger, clock: Clock
) -> None:
    match(ledger, 5)
    failing: Any = Failing(ledger, matches_of=away(1_000))
    stop = Ticking(clock, FIRST + 1)
    needs = [PeriodEnergy(FIRST + 50, 10)]
    assert ConsumerNode(failing).run(CONSUMER, needs, stop, SOON) == PostingReport(0, 0)
    assert ledger.latest_match(CONSUMER) == (PRODUCER, 5)


def test_a_refusal_while_drawing_ends_a_run(ledger: MemoryLedger, clock: Clock) -> None:
    match(ledger, 5)
    stranger = ConsumerNode(ledger.as_account(STRANGER))
    with pytest.raises(NotTheOperator):
        stranger.run(CONSUMER, [PeriodEnergy(FIRST + 1, 10)], Ticking(clock), SOON)
    assert ledger.latest_match(CONSUMER) == (PRODUCER, 5)


# ------------------------------------------------------------------ aggregator


def test_an_aggregator_without_orders_sends_nothing(
    ledger: MemoryLedger, calls: Callable[[], int]
) -> None:
    before = calls()
    assert AggregatorNode(ledger).check_incoming_energy() == MatchingReport()
    ledger.post_request(PRODUCER, 5)
    assert AggregatorNode(ledger).check_incoming_energy() == MatchingReport()
    assert calls() == before + 1


def test_an_aggregator_matches_until_one_queue_is_empty(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_request(NEIGHBOUR, 6)
    ledger.post_release(CONSUMER, 100)
    report = AggregatorNode(ledger).check_incoming_energy()
    assert (report.matches, report.energy, report.calls) == (2, 11, 1)
    assert ledger.release_energy(CONSUMER) == 89


def test_any_account_may_be_an_aggregator(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_release(CONSUMER, 5)
    assert AggregatorNode(ledger.as_account(STRANGER)).check_incoming_energy().energy == 5


class Watched:
    """A ledger that answers some questions itself."""

    def __init__(self, ledger: MemoryLedger, **answers: Callable[..., Any]) -> None:
        self._ledger, self._answers = ledger, answers

    def __getattr__(self, name: str) -> Any:
        return self._answers.get(name) or getattr(self._ledger, name)


def test_an_aggregator_matches_in_batches_that_fit(ledger: MemoryLedger) -> None:
    for _ in range(5):
        ledger.post_request(PRODUCER, 2)
        ledger.post_release(CONSUMER, 2)
    small: Any = Watched(ledger, max_matches=lambda: 2)
    report = AggregatorNode(small).check_incoming_energy()
    assert (report.matches, report.energy, report.calls) == (5, 10, 3)


def test_no_more_matches_are_asked_for_than_orders_allow(ledger: MemoryLedger) -> None:
    asked = []

    def match_pending(max_matches: int) -> Any:
        asked.append(max_matches)
        return ledger.match_pending(max_matches)

    for _ in range(3):
        ledger.post_request(PRODUCER, 2)
        ledger.post_release(CONSUMER, 2)
    watched: Any = Watched(ledger, match_pending=match_pending)
    AggregatorNode(watched).check_incoming_energy()
    assert asked == [5]


def test_an_aggregator_stops_when_another_one_is_faster(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_release(CONSUMER, 5)
    late: Any = Watched(ledger, requests_outstanding=lambda: 1, releases_outstanding=lambda: 1)
    ledger.match_pending(1)
    report = AggregatorNode(late).check_incoming_energy()
    assert (report.matches, report.energy, report.calls) == (0, 0, 1)


def test_gas_of_all_calls_is_added_up(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 4)
    ledger.post_release(CONSUMER, 2)
    ledger.post_release(CONSUMER, 2)
    costly: Any = Watched(
        ledger,
        max_matches=lambda: 1,
        match_pending=lambda count: replace(ledger.match_pending(count), gas_used=50_000),
    )
    assert AggregatorNode(costly).check_incoming_energy().gas_used == 100_000


def test_a_paused_market_is_not_matched(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_release(CONSUMER, 5)
    ledger.as_account(OWNER).pause()
    with pytest.raises(MarketPaused):
        AggregatorNode(ledger).check_incoming_energy()


def run_at(
    clock: Clock, ledger: Any, stop: Event, report: Callable[[MatchingReport], None], **told: Any
) -> None:
    """Runs an aggregator whose time is the market's."""
    AggregatorNode(ledger).run(
        stop, report, TICK, clock=lambda: float(clock.now), random=Random(1), **told
    )


def test_an_aggregator_reports_each_time_it_matched_until_it_is_stopped(
    ledger: MemoryLedger, clock: Clock
) -> None:
    reports: list[MatchingReport] = []

    class Trading(Ticking):
        def wait(self, timeout: float | None = None) -> bool:
            if self._clock.now % (2 * TICK):  # every other time there is nothing to match
                ledger.post_request(PRODUCER, 3)
                ledger.post_release(CONSUMER, 3)
            return super().wait(timeout)

    run_at(clock, ledger, Trading(clock, FIRST + 3), reports.append)
    assert [(each.matches, each.energy, each.calls) for each in reports] == [(1, 3, 1)] * 2


def test_an_aggregator_in_a_thread_matches_and_stops_when_told(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_release(CONSUMER, 4)
    stop, matched = Event(), Event()
    thread = Thread(
        target=AggregatorNode(ledger.as_account(AGGREGATOR)).run,
        args=(stop, lambda _: matched.set(), SOON),
        daemon=True,
    )
    thread.start()
    assert matched.wait(LONG)
    stop.set()
    thread.join(LONG)
    assert not thread.is_alive()
    assert ledger.latest_match(CONSUMER) == (PRODUCER, 4)


def test_an_aggregator_waits_while_the_market_is_paused(ledger: MemoryLedger, clock: Clock) -> None:
    owner = ledger.as_account(OWNER)
    ledger.post_request(PRODUCER, 3)
    ledger.post_release(CONSUMER, 3)
    owner.pause()
    reports: list[MatchingReport] = []

    class UnpausedLater(Ticking):
        def wait(self, timeout: float | None = None) -> bool:
            if ledger.paused():
                assert reports == []
                owner.unpause()
            return super().wait(timeout)

    run_at(clock, ledger, UnpausedLater(clock, FIRST + 1), reports.append)
    assert [report.energy for report in reports] == [3]


def test_an_aggregator_that_is_stopped_matches_nothing(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_release(CONSUMER, 5)
    stop = Event()
    stop.set()
    AggregatorNode(ledger).run(stop)
    assert ledger.match_counter() == 0


def test_an_aggregator_whose_call_came_too_late_says_so(ledger: MemoryLedger, clock: Clock) -> None:
    reports: list[MatchingReport] = []

    def too_late(most: int) -> Receipt:
        if ledger.match_counter() == 1:  # somebody else is faster from now on
            ledger.match_pending(most)
        return ledger.match_pending(most)

    class Trading(Ticking):
        def wait(self, timeout: float | None = None) -> bool:
            if not ledger.requests_outstanding():
                ledger.post_request(PRODUCER, 3)
                ledger.post_release(CONSUMER, 3)
            return super().wait(timeout)

    watched: Any = Watched(ledger, match_pending=too_late)
    run_at(clock, watched, Trading(clock, FIRST + 10), reports.append)
    told = [(each.matches, each.in_time, each.active) for each in reports[:2]]
    assert told == [(1, True, True), (0, False, False)]


def test_an_aggregator_whose_queues_expired_on_the_way_was_not_too_late(
    ledger: MemoryLedger, clock: Clock
) -> None:
    def in_the_next_period(most: int) -> Receipt:
        clock.now += PERIOD_LENGTH
        return ledger.match_pending(most)

    ledger.post_request(PRODUCER, 3)
    ledger.post_release(CONSUMER, 3)
    watched: Any = Watched(ledger, match_pending=in_the_next_period)
    done = AggregatorNode(watched).check_incoming_energy()
    assert (done.matches, done.calls, done.in_time) == (0, 1, True)


@pytest.mark.parametrize("fault", ["aggregator", "requests_outstanding", "match_counter"])
def test_an_aggregator_goes_on_when_the_node_is_back(
    ledger: MemoryLedger, clock: Clock, fault: str
) -> None:
    ledger.post_request(PRODUCER, 5)
    ledger.post_release(CONSUMER, 4)
    failing: Any = Failing(ledger, **{fault: away(1)})
    troubles: list[str] = []
    reports: list[MatchingReport] = []
    run_at(clock, failing, Ticking(clock, FIRST + 1), reports.append, trouble=troubles.append)
    assert troubles == ["nobody answers", ANSWERS_AGAIN]
    assert [report.energy for report in reports] == [4]
