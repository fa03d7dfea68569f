"""What every `Ledger` does when a call is good."""

from energy_chain import events
from energy_chain.market import (
    CAPACITY,
    MAX_ENERGY,
    ZERO_ADDRESS,
    Fill,
    Match,
    Meter,
    Release,
    Request,
)


def opened(market, expired_requests=0, expired_releases=0):
    """The event of the first call of a period."""
    return events.PeriodOpened(market.ledger.current_period(), expired_requests, expired_releases)


# posting


def test_a_meter_posts_a_request(market):
    receipt = market.as_("producer").post_request(market.producer, 5)
    assert receipt.events == (opened(market), events.RequestPosted(market.producer, 0, 5))
    assert market.ledger.requests_outstanding() == 1
    assert market.ledger.request_counter() == 1
    assert market.ledger.next_request_energy() == 5
    assert market.ledger.request_energy(market.producer) == 5
    assert market.ledger.request_slot(0) == (market.producer, 5)


def test_a_meter_posts_a_release(market):
    receipt = market.as_("consumer").post_release(market.consumer, 7)
    assert receipt.events == (opened(market), events.ReleasePosted(market.consumer, 0, 7))
    assert market.ledger.releases_outstanding() == 1
    assert market.ledger.release_counter() == 1
    assert market.ledger.next_release_energy() == 7
    assert market.ledger.release_energy(market.consumer) == 7
    assert market.ledger.release_slot(0) == (market.consumer, 7)


def test_the_operator_posts_for_a_meter(market):
    market.as_("operator").post_request(market.producer, 5)
    receipt = market.as_("operator").post_request(market.producer, MAX_ENERGY)
    assert receipt.events == (events.RequestPosted(market.producer, 1, MAX_ENERGY),)


def test_the_operator_posts_a_batch_of_requests(market):
    orders = tuple(Request(number, 10 + number) for number in (1, 2, 3, 1, 2))
    receipt = market.as_("operator").post_requests(orders)
    assert receipt.events == (opened(market), events.RequestsPosted(0, orders))
    assert market.ledger.requests_outstanding() == 5
    assert market.ledger.request_energy(market.producer) == 22
    assert market.ledger.request_slot(4) == (market.consumer, 12)


def test_a_ring_tells_what_every_slot_holds(market):
    market.as_("operator").post_requests([Request(1, 5)] * 5)
    market.as_("operator").post_releases([Release(2, 7)])
    ring = market.ledger.request_ring()
    assert ring == [Request(1, 5)] * 5 + [Request(0, 0)] * (CAPACITY - 5)
    assert market.ledger.release_ring() == [Release(2, 7)] + [Release(0, 0)] * (CAPACITY - 1)


def test_the_operator_posts_a_batch_of_releases(market):
    orders = tuple(Release(number, 10 + number) for number in (1, 2, 3, 1, 2))
    receipt = market.as_("operator").post_releases(orders)
    assert receipt.events == (opened(market), events.ReleasesPosted(0, orders))
    assert market.ledger.releases_outstanding() == 5
    assert market.ledger.release_energy(market.consumer) == 24
    assert market.ledger.release_slot(4) == (market.consumer, 12)


def test_a_full_batch_is_posted_matched_and_confirmed(market):
    operator = market.as_("operator")
    operator.post_requests([Request(1, 2)] * 256)
    operator.post_releases([Release(2, 2)] * 256)
    assert operator.match_pending(256).fills == (Fill(1, 2, 2),) * 256
    operator.confirm_deliveries(0, [1] * 256)
    assert operator.match_at(255) == Match(255, market.producer, market.consumer, 1)


def test_an_unwritten_slot_and_one_beyond_the_ring_hold_zeros(market):
    for slot in 0, CAPACITY - 1, CAPACITY, 2**256 - 1:
        assert market.ledger.request_slot(slot) == (ZERO_ADDRESS, 0)
        assert market.ledger.release_slot(slot) == (ZERO_ADDRESS, 0)


# matching


def test_anyone_matches_what_is_pending(market):
    operator = market.as_("operator")
    operator.post_requests([Request(1, 5), Request(3, 4)])
    operator.post_releases([Release(2, 6)])
    receipt = market.as_("stranger").match_pending(256)
    fills = (Fill(1, 2, 5), Fill(3, 2, 1))
    assert receipt.events == (events.Matched(0, fills),)
    assert receipt.fills == fills
    assert market.ledger.match_counter() == 2
    assert market.ledger.releases_outstanding() == 0
    assert market.ledger.next_request_energy() == market.ledger.request_energy(market.other) == 3


def test_matching_stops_after_max_matches(market):
    operator = market.as_("operator")
    operator.post_requests([Request(1, 5)] * 3)
    operator.post_releases([Release(2, 5)] * 3)
    assert len(operator.match_pending(2).fills) == 2
    assert operator.match_pending(2).events == (events.Matched(2, (Fill(1, 2, 5),)),)


def test_matching_nothing_says_nothing(market):
    market.as_("operator").post_request(market.producer, 5)
    assert market.as_("stranger").match_pending(1).events == ()


def test_the_aggregator_matches_an_energy(market):
    operator = market.as_("operator")
    operator.post_requests([Request(1, 5), Request(3, 5)])
    operator.post_releases([Release(2, 9)])
    receipt = market.as_("aggregator").match_energy(7)
    first, cut = Fill(1, 2, 5), Fill(3, 2, 2)
    assert receipt.events == (events.PairMatched(0, first), events.PairMatched(1, cut))
    assert receipt.fills == (first, cut)
    assert market.ledger.next_request_energy() == 3
    assert market.ledger.next_release_energy() == 2


def test_the_operator_posts_both_sides_and_matches_in_one_call(market):
    operator = market.as_("operator")
    requests, releases = (Request(1, 5), Request(3, 4)), (Release(2, 6),)
    receipt = operator.post_and_match(requests, releases, 256)
    fills = (Fill(1, 2, 5), Fill(3, 2, 1))
    assert receipt.events == (
        opened(market),
        events.RequestsPosted(0, requests),
        events.ReleasesPosted(0, releases),
        events.Matched(0, fills),
    )
    assert receipt.fills == fills
    assert market.ledger.next_request_energy() == 3
    assert operator.post_and_match([], releases, 1).events == (
        events.ReleasesPosted(1, releases),
        events.Matched(2, (Fill(3, 2, 3),)),
    )


def test_both_sides_are_posted_without_matching(market):
    operator = market.as_("operator")
    receipt = operator.post_and_match([Request(1, 5)], [Release(2, 5)], 0)
    assert receipt.fills == ()
    assert operator.post_and_match([Request(1, 6)], [], 0).events == (
        events.RequestsPosted(1, (Request(1, 6),)),
    )
    assert (operator.requests_outstanding(), operator.releases_outstanding()) == (2, 1)


def test_two_full_batches_are_posted_and_matched_in_one_call(market):
    operator = market.as_("operator")
    requests, releases = [Request(1, 2**32 - 1)] * 256, [Release(2, 2**32 - 1)] * 256
    assert len(operator.post_and_match(requests, releases, 256).fills) == 256
    assert operator.requests_outstanding() == operator.releases_outstanding() == 0


def test_one_call_writes_up_to_256_matches(market):
    assert market.ledger.max_matches() == 256


# consuming


def test_a_consumer_consumes_its_latest_match(traded):
    receipt = traded.as_("consumer").consume(traded.consumer, 2)
    assert receipt.events == (events.DeliveryConfirmed(0, 2),)
    assert traded.ledger.latest_match(traded.consumer) == (traded.producer, 3)


def test_the_operator_consumes_for_a_consumer(traded):
    receipt = traded.as_("operator").consume(traded.other, 2)
    assert receipt.events == (events.DeliveryConfirmed(1, 2),)
    assert traded.ledger.match_at(1) == Match(1, traded.producer, traded.other, 0)


def test_a_consumer_consumes_a_match(traded):
    receipt = traded.as_("other").consume_match(1, 1)
    assert receipt.events == (events.DeliveryConfirmed(1, 1),)
    assert traded.ledger.match_at(1) == Match(1, traded.producer, traded.other, 1)


def test_the_operator_confirms_deliveries(traded):
    receipt = traded.as_("operator").confirm_deliveries(0, [5, 1])
    assert receipt.events == (events.DeliveriesConfirmed(0, (5, 1, 0, 0)),)
    assert [traded.ledger.match_at(index).energy for index in (0, 1)] == [0, 1]


def test_the_operator_confirms_all_that_is_left(traded):
    operator = traded.as_("operator")
    operator.consume_match(0, 2)
    receipt = operator.confirm_matches(0, 2)
    assert receipt.events == (events.MatchesConfirmed(0, 2),)
    assert [traded.ledger.match_at(index).energy for index in (0, 1)] == [0, 0]
    assert operator.confirm_matches(1, 1).events == (events.MatchesConfirmed(1, 1),)


def test_consuming_goes_on_in_a_pause_and_in_a_later_period(traded):
    traded.ledger.pause()
    traded.advance(3 * traded.period)
    receipt = traded.as_("consumer").consume(traded.consumer, 1)
    assert receipt.events == (events.DeliveryConfirmed(0, 1),)
    receipt = traded.as_("operator").confirm_matches(1, 1)
    assert receipt.events == (events.MatchesConfirmed(1, 1),)


def test_matches_are_read_by_index_and_by_consumer(traded):
    match = Match(0, traded.producer, traded.consumer, 5)
    assert traded.ledger.match_at(0) == match
    assert traded.ledger.matches_of(traded.consumer) == [match]
    assert traded.ledger.matches_of(traded.consumer, 1) == []
    assert traded.ledger.matches_of(traded.unregistered) == []
    assert traded.ledger.match_at(2) is None
    assert traded.ledger.match_at(2**256 - 1) is None
    assert traded.ledger.latest_match(traded.producer) is None


# meters, roles, pause


def test_meters_are_registered_under_the_next_number(market):
    receipt = market.ledger.register_meters([market.unregistered])
    assert receipt.events == (events.MeterRegistered(market.unregistered, 6),)
    assert market.ledger.meter(market.unregistered) == Meter(6, market.unregistered)
    assert market.ledger.meter_address(6) == market.unregistered
    assert market.ledger.meter_count() == 6


def test_registering_no_meters_changes_nothing(market):
    assert market.as_("operator").register_meters([]).events == ()
    assert market.ledger.meter_count() == 5


def test_a_retired_meter_gets_its_number_back(market):
    receipt = market.as_("operator").retire_meter(market.consumer)
    assert receipt.events == (events.MeterRetired(market.consumer, 2),)
    assert market.ledger.meter(market.consumer) == Meter(2, market.consumer, retired=True)
    again = market.as_("operator").register_meters([market.consumer])
    assert again.events == (events.MeterRegistered(market.consumer, 2),)
    assert market.ledger.meter(market.consumer) == Meter(2, market.consumer)


def test_unknown_meters_and_numbers_are_none(market):
    assert market.ledger.meter(market.unregistered) is None
    assert market.ledger.meter(ZERO_ADDRESS) is None
    for number in 0, 6, 65_535, 65_536, 2**256 - 1:
        assert market.ledger.meter_address(number) is None


def test_the_ownership_passes_in_two_steps(market):
    offered = market.ledger.transfer_ownership(market.stranger)
    assert offered.events == (events.OwnershipTransferStarted(market.owner, market.stranger),)
    assert market.ledger.pending_owner() == market.stranger
    assert market.ledger.owner() == market.owner
    accepted = market.as_("stranger").accept_ownership()
    assert accepted.events == (events.OwnershipTransferred(market.owner, market.stranger),)
    assert market.ledger.owner() == market.stranger
    assert market.ledger.pending_owner() == ZERO_ADDRESS


def test_an_offered_ownership_is_withdrawn(market):
    market.ledger.transfer_ownership(market.stranger)
    receipt = market.ledger.transfer_ownership(ZERO_ADDRESS)
    assert receipt.events == (events.OwnershipTransferStarted(market.owner, ZERO_ADDRESS),)
    assert market.ledger.pending_owner() == ZERO_ADDRESS


def test_the_owner_appoints_the_aggregator(market):
    receipt = market.ledger.set_aggregator(market.stranger)
    assert receipt.events == (events.AggregatorChanged(market.aggregator, market.stranger),)
    assert market.ledger.aggregator() == market.stranger


def test_the_owner_appoints_the_metering_operator(market):
    receipt = market.ledger.set_metering_operator(market.stranger)
    assert receipt.events == (events.MeteringOperatorChanged(market.operator, market.stranger),)
    assert market.ledger.metering_operator() == market.stranger
    assert market.ledger.meter_count() == 5


def test_the_owner_pauses_and_unpauses(market):
    assert market.ledger.pause().events == (events.Paused(market.owner),)
    assert market.ledger.paused()
    assert market.ledger.unpause().events == (events.Unpaused(market.owner),)
    assert not market.ledger.paused()


# periods


def test_orders_expire_with_their_period(traded):
    traded.advance(traded.period)
    assert traded.ledger.requests_outstanding() == 0
    assert traded.ledger.next_request_energy() == 0
    assert traded.ledger.request_energy(traded.producer) == 0
    receipt = traded.as_("consumer").post_release(traded.consumer, 1)
    assert receipt.events[0] == opened(traded, expired_requests=2)


def test_the_period_is_unix_time_by_its_length(market):
    assert market.ledger.period_length() == market.period
    assert market.ledger.current_period() == market.now() // market.period


# history


def test_the_history_tells_what_each_call_logged(traded):
    traded.as_("consumer").consume(traded.consumer, 2)
    told = [receipt.events for receipt in traded.ledger.history()]
    deployment = (
        events.OwnershipTransferred(ZERO_ADDRESS, traded.owner),
        events.AggregatorChanged(ZERO_ADDRESS, traded.aggregator),
        events.MeteringOperatorChanged(ZERO_ADDRESS, traded.operator),
    )
    assert told[0] == deployment
    assert [type(event).__name__ for happened in told[1:] for event in happened] == [
        *["MeterRegistered"] * 5,
        "PeriodOpened",
        *["RequestPosted"] * 3,
        *["ReleasePosted"] * 2,
        "Matched",
        "MeterRetired",
        "DeliveryConfirmed",
    ]
    assert told[-1] == (events.DeliveryConfirmed(0, 2),)


def test_the_history_tells_when(market):
    then = market.now()
    market.as_("producer").post_request(market.producer, 5)
    assert list(market.ledger.history())[-1].timestamp == then
