"""What every `Ledger` refuses: with the same error, and nothing has changed."""

from math import nan

import pytest

from energy_chain import errors
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.market import CAPACITY, MAX_PERIOD_LENGTH, ZERO_ADDRESS, Release, Request
from energy_chain.memory_ledger import MemoryLedger

from ..property.markets import METERS, Clock, reading, stage

PRODUCER, CONSUMER, OTHER, _, RETIRED, UNKNOWN = METERS
GOOD = [Request(1, 1)]
TAKEN = [Release(2, 1)]

# In the market that was traded in: who calls what, with what, and the error.
REFUSED = [
    ("producer", "post_request", (PRODUCER, 0), errors.InvalidEnergy),
    ("stranger", "post_request", (PRODUCER, 1), errors.NotTheOperator),
    ("operator", "post_request", (UNKNOWN, 1), errors.MeterNotRegistered),
    ("operator", "post_request", (RETIRED, 1), errors.MeterIsRetired),
    ("operator", "post_request", (ZERO_ADDRESS, 1), errors.MeterNotRegistered),
    ("consumer", "post_release", (CONSUMER, 0), errors.InvalidEnergy),
    ("stranger", "post_release", (CONSUMER, 1), errors.NotTheOperator),
    ("operator", "post_release", (UNKNOWN, 1), errors.MeterNotRegistered),
    ("operator", "post_release", (RETIRED, 1), errors.MeterIsRetired),
    ("producer", "post_requests", (GOOD,), errors.NotTheOperator),
    ("operator", "post_requests", ([],), errors.BatchEmpty),
    ("operator", "post_requests", ([*GOOD, Request(6, 1)],), errors.MalformedOrder),
    ("operator", "post_requests", ([*GOOD, Request(0, 1)],), errors.MalformedOrder),
    ("operator", "post_requests", ([Request(1, 0), *GOOD],), errors.MalformedOrder),
    ("operator", "post_requests", ([Request(0, 0)],), errors.MalformedOrder),
    ("operator", "post_requests", ([*GOOD, Request(0, 0)],), errors.MalformedOrder),
    ("operator", "post_requests", ([*GOOD, Request(0, 0), *GOOD],), errors.MalformedOrder),
    ("operator", "post_requests", ([*GOOD, Request(5, 1)],), errors.MeterIsRetired),
    ("consumer", "post_releases", (TAKEN,), errors.NotTheOperator),
    ("operator", "post_releases", ([],), errors.BatchEmpty),
    ("operator", "post_releases", ([*TAKEN, Release(6, 1)],), errors.MalformedOrder),
    ("operator", "post_releases", ([*TAKEN, Release(2, 0)],), errors.MalformedOrder),
    ("operator", "post_releases", ([*TAKEN * 4, Release(0, 0)],), errors.MalformedOrder),
    ("operator", "post_releases", ([*TAKEN, Release(5, 1)],), errors.MeterIsRetired),
    ("consumer", "post_and_match", (GOOD, TAKEN, 257), errors.NotTheOperator),
    ("operator", "post_and_match", ([], [], 257), errors.InvalidMaxMatches),
    ("operator", "post_and_match", (GOOD, TAKEN, 2**256 - 1), errors.InvalidMaxMatches),
    ("operator", "post_and_match", ([], [], 0), errors.BatchEmpty),
    ("operator", "post_and_match", ([*GOOD, Request(6, 1)], TAKEN, 0), errors.MalformedOrder),
    ("operator", "post_and_match", (GOOD, [*TAKEN, Release(6, 1)], 5), errors.MalformedOrder),
    ("operator", "post_and_match", (GOOD, [*TAKEN, Release(0, 0)], 5), errors.MalformedOrder),
    ("operator", "post_and_match", (GOOD * 9, [*TAKEN, Release(5, 1)], 5), errors.MeterIsRetired),
    ("stranger", "match_pending", (0,), errors.InvalidMaxMatches),
    ("stranger", "match_pending", (257,), errors.InvalidMaxMatches),
    ("stranger", "match_pending", (2**256 - 1,), errors.InvalidMaxMatches),
    ("operator", "match_energy", (1,), errors.NotTheAggregator),
    ("aggregator", "match_energy", (0,), errors.InvalidEnergy),
    ("aggregator", "match_energy", (1,), errors.CannotMatch),
    ("consumer", "consume", (CONSUMER, 0), errors.InvalidEnergy),
    ("consumer", "consume", (CONSUMER, 6), errors.AboveMatched),
    ("stranger", "consume", (CONSUMER, 1), errors.NotTheOperator),
    ("producer", "consume", (PRODUCER, 1), errors.NoMatch),
    ("operator", "consume", (UNKNOWN, 1), errors.NoMatch),
    ("consumer", "consume_match", (0, 0), errors.InvalidEnergy),
    ("consumer", "consume_match", (0, 6), errors.AboveMatched),
    ("consumer", "consume_match", (1, 1), errors.NotTheOperator),
    ("operator", "consume_match", (2, 1), errors.MatchNotKept),
    ("operator", "consume_match", (2**256 - 1, 1), errors.MatchNotKept),
    ("consumer", "confirm_deliveries", (0, [1]), errors.NotTheOperator),
    ("operator", "confirm_deliveries", (0, []), errors.BatchEmpty),
    ("operator", "confirm_deliveries", (1, [1]), errors.ConfirmationMisaligned),
    ("operator", "confirm_deliveries", (4, [1]), errors.MatchNotKept),
    ("operator", "confirm_deliveries", (0, [1] * 5), errors.MatchNotKept),
    ("operator", "confirm_deliveries", (2**256 - 4, [1]), errors.MatchNotKept),
    ("operator", "confirm_deliveries", (0, [5, 3]), errors.AboveMatched),
    ("operator", "confirm_deliveries", (0, [5, 2, 1]), errors.AboveMatched),
    ("consumer", "confirm_matches", (0, 1), errors.NotTheOperator),
    ("operator", "confirm_matches", (9, 0), errors.InvalidMatchCount),
    ("operator", "confirm_matches", (9, 257), errors.InvalidMatchCount),
    ("operator", "confirm_matches", (0, 2**256 - 1), errors.InvalidMatchCount),
    ("operator", "confirm_matches", (2, 1), errors.MatchNotKept),
    ("operator", "confirm_matches", (0, 3), errors.MatchNotKept),
    ("operator", "confirm_matches", (2**256 - 1, 2), errors.MatchNotKept),
    ("stranger", "register_meters", ([UNKNOWN],), errors.NotARegistrar),
    ("owner", "register_meters", ([UNKNOWN, PRODUCER],), errors.MeterAlreadyRegistered),
    ("owner", "register_meters", ([UNKNOWN, UNKNOWN],), errors.MeterAlreadyRegistered),
    ("owner", "register_meters", ([RETIRED, RETIRED],), errors.MeterAlreadyRegistered),
    ("owner", "register_meters", ([UNKNOWN, ZERO_ADDRESS],), errors.ZeroAddress),
    ("stranger", "retire_meter", (PRODUCER,), errors.NotARegistrar),
    ("owner", "retire_meter", (UNKNOWN,), errors.MeterNotRegistered),
    ("owner", "retire_meter", (RETIRED,), errors.MeterIsRetired),
    ("stranger", "transfer_ownership", (PRODUCER,), errors.NotTheOwner),
    ("owner", "accept_ownership", (), errors.NotThePendingOwner),
    ("operator", "set_aggregator", (PRODUCER,), errors.NotTheOwner),
    ("owner", "set_aggregator", (ZERO_ADDRESS,), errors.ZeroAddress),
    ("operator", "set_metering_operator", (PRODUCER,), errors.NotTheOwner),
    ("owner", "set_metering_operator", (ZERO_ADDRESS,), errors.ZeroAddress),
    ("operator", "pause", (), errors.NotTheOwner),
    ("operator", "unpause", (), errors.NotTheOwner),
    ("owner", "unpause", (), errors.MarketNotPaused),
    # Python values that no transaction could carry.
    ("operator", "post_requests", (GOOD * 257,), errors.InvalidInput),
    ("operator", "post_releases", (TAKEN * 257,), errors.InvalidInput),
    ("operator", "post_and_match", (GOOD * 257, TAKEN, 0), errors.InvalidInput),
    ("operator", "post_and_match", (GOOD, TAKEN * 257, 0), errors.InvalidInput),
    ("operator", "confirm_deliveries", (0, [0] * 257), errors.InvalidInput),
    ("operator", "register_meters", ([UNKNOWN] * 257,), errors.InvalidInput),
]


@pytest.fixture(scope="session")
def traded_reading():
    """What is read of the market that was traded in."""
    return reading(stage("traded").pair().twin)


def refused(ledger, method, arguments, error):
    """Fails unless exactly that error is raised."""
    with pytest.raises(error) as caught:
        getattr(ledger, method)(*arguments)
    assert caught.type is error


@pytest.mark.parametrize(
    ("part", "method", "arguments", "error"),
    REFUSED,
    ids=[f"{case[1]}-{case[3].__name__}-{number}" for number, case in enumerate(REFUSED)],
)
def test_a_call_is_refused_and_nothing_has_changed(
    traded, traded_reading, part, method, arguments, error
):
    refused(traded.as_(part), method, arguments, error)
    assert reading(traded.ledger) == traded_reading


PAUSED = [
    ("post_request", (PRODUCER, 1)),
    ("post_release", (CONSUMER, 1)),
    ("post_requests", (GOOD,)),
    ("post_releases", (TAKEN,)),
    ("post_and_match", (GOOD, TAKEN, 0)),
    ("match_pending", (1,)),
]


@pytest.mark.parametrize(("method", "arguments"), PAUSED)
def test_a_paused_market_neither_takes_orders_nor_matches(traded, method, arguments):
    traded.ledger.pause()
    refused(traded.as_("operator"), method, arguments, errors.MarketPaused)
    refused(traded.as_("aggregator"), "match_energy", (1,), errors.MarketPaused)
    refused(traded.ledger, "pause", (), errors.MarketPaused)


@pytest.mark.parametrize(
    ("side", "order", "error"),
    [
        ("request", Request(1, 1), errors.RequestRingFull),
        ("release", Release(1, 1), errors.ReleaseRingFull),
    ],
)
def test_a_full_ring_refuses_orders(market, side, order, error):
    operator = market.as_("operator")
    for _ in range(CAPACITY // 256):
        getattr(operator, f"post_{side}s")([order] * 256)
    refused(operator, f"post_{side}", (market.producer, 1), error)
    refused(operator, f"post_{side}s", ([order],), error)
    both = ([order], TAKEN) if side == "request" else (GOOD, [order])
    refused(operator, "post_and_match", (*both, 256), error)
    assert market.ledger.request_counter() + market.ledger.release_counter() == CAPACITY
    assert getattr(market.ledger, f"{side}s_outstanding")() == CAPACITY


def test_only_who_was_offered_the_ownership_accepts_it(market):
    market.ledger.transfer_ownership(market.stranger)
    refused(market.ledger, "accept_ownership", (), errors.NotThePendingOwner)


TYPES = [nan, 1.5, 1.0, "5", True, None]
LARGE = [-1, 2**32, 2**255, 2**256, -(2**255), -(2**255) - 1]
ENERGY_CALLS = [
    ("producer", "post_request", (PRODUCER,)),
    ("consumer", "post_release", (CONSUMER,)),
    ("aggregator", "match_energy", ()),
    ("consumer", "consume", (CONSUMER,)),
    ("consumer", "consume_match", (0,)),
]


@pytest.mark.parametrize(("part", "method", "arguments"), ENERGY_CALLS)
def test_an_energy_that_is_no_whole_number_is_invalid_input(traded, part, method, arguments):
    for energy in TYPES:
        refused(traded.as_(part), method, (*arguments, energy), errors.InvalidInput)


@pytest.mark.parametrize(("part", "method", "arguments"), ENERGY_CALLS)
def test_an_energy_that_no_order_can_hold_is_an_invalid_energy(traded, part, method, arguments):
    for energy in LARGE:
        refused(traded.as_(part), method, (*arguments, energy), errors.InvalidEnergy)


@pytest.mark.parametrize("value", [*TYPES, *LARGE], ids=repr)
def test_a_batch_takes_no_energy_that_does_not_fit_its_lane(market, value):
    operator = market.as_("operator")
    refused(operator, "post_requests", ([Request(1, value)],), errors.InvalidInput)
    refused(operator, "post_releases", ([Release(1, value)],), errors.InvalidInput)
    refused(operator, "post_and_match", ([Request(1, value)], [], 0), errors.InvalidInput)
    refused(operator, "post_and_match", ([], [Release(1, value)], 0), errors.InvalidInput)
    refused(operator, "confirm_deliveries", (0, [value]), errors.InvalidInput)


@pytest.mark.parametrize("value", [*TYPES, -1, 2**16], ids=repr)
def test_a_batch_takes_no_meter_number_that_does_not_fit_its_lane(market, value):
    operator = market.as_("operator")
    refused(operator, "post_requests", ([Request(value, 1)],), errors.InvalidInput)
    refused(operator, "post_releases", ([Release(value, 1)],), errors.InvalidInput)


@pytest.mark.parametrize("value", [*TYPES, -1, 2**256], ids=repr)
def test_an_index_or_count_that_is_none_is_invalid_input(traded, value):
    operator = traded.as_("operator")
    refused(operator, "match_pending", (value,), errors.InvalidInput)
    refused(operator, "post_and_match", (GOOD, TAKEN, value), errors.InvalidInput)
    refused(operator, "confirm_matches", (value, 1), errors.InvalidInput)
    refused(operator, "confirm_matches", (0, value), errors.InvalidInput)
    refused(operator, "consume_match", (value, 1), errors.InvalidInput)
    refused(operator, "confirm_deliveries", (value, [1]), errors.InvalidInput)
    refused(operator, "request_slot", (value,), errors.InvalidInput)
    refused(operator, "release_slot", (value,), errors.InvalidInput)
    refused(operator, "match_at", (value,), errors.InvalidInput)
    refused(operator, "matches_of", (CONSUMER, value), errors.InvalidInput)
    refused(operator, "meter_address", (value,), errors.InvalidInput)


def test_an_overwritten_match_is_not_kept(market):
    operator = market.as_("operator")
    for _ in range(8):
        operator.post_and_match([Request(1, 2)] * 256, [Release(2, 2)] * 256, 256)
    assert operator.match_at(0) is not None
    operator.post_request(market.producer, 1)
    operator.post_release(market.other, 1)
    operator.match_pending(1)
    for index in range(4):
        refused(operator, "consume_match", (index, 1), errors.MatchNotKept)
        assert operator.match_at(index) is None
    refused(operator, "confirm_deliveries", (0, [1]), errors.MatchNotKept)
    refused(operator, "confirm_matches", (3, 2), errors.MatchNotKept)
    assert operator.consume_match(4, 1)


# deployment


@pytest.fixture
def deploy(kind, contract_market):
    """Deploys a market: takes aggregator, metering operator and period length."""
    market = contract_market

    def in_memory(*arguments):
        return MemoryLedger.deploy(market.owner, *arguments, Clock())

    def in_the_contract(*arguments):
        return ContractLedger.deploy(market.ledger._sender, market.owner, *arguments)

    return {"memory": in_memory, "contract": in_the_contract}[kind]


@pytest.mark.parametrize("length", [0, 60, 900, MAX_PERIOD_LENGTH])
def test_a_market_is_deployed_with_a_period_length(deploy, length):
    assert deploy(PRODUCER, CONSUMER, length).period_length() == length


@pytest.mark.parametrize("length", [1, 59, MAX_PERIOD_LENGTH + 1, 2**256 - 1])
def test_a_period_length_out_of_range_is_refused(deploy, length):
    with pytest.raises(errors.InvalidPeriodLength):
        deploy(PRODUCER, CONSUMER, length)


@pytest.mark.parametrize("length", [*TYPES, -1], ids=repr)
def test_a_period_length_that_is_no_number_of_seconds_is_invalid_input(deploy, length):
    with pytest.raises(errors.InvalidInput):
        deploy(PRODUCER, CONSUMER, length)


def test_nobody_as_aggregator_or_operator_is_refused(deploy):
    for aggregator, operator in (ZERO_ADDRESS, PRODUCER), (PRODUCER, ZERO_ADDRESS):
        with pytest.raises(errors.ZeroAddress):
            deploy(aggregator, operator, 900)
