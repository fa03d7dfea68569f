"""Hypothesis strategies: energies, orders, calls and histories of calls."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from energy_chain.market import MAX_ENERGY, ZERO_ADDRESS, Release, Request
from energy_chain.signing import Kind

from .markets import (
    AGGREGATOR,
    METERS,
    OPERATOR,
    OWNER,
    PERIOD,
    REGISTERED,
    STRANGER,
    Call,
    Unsigned,
)

DETERMINISTIC = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""The same examples in every run, on whatever machine."""

# Small energies, so that a fill often uses up both orders at once.
small_energies = st.one_of(st.sampled_from([1, 2, 2, 3]), st.integers(1, 9))
energies = st.one_of(small_energies, small_energies, st.sampled_from([MAX_ENERGY - 1, MAX_ENERGY]))
bad_energies = st.sampled_from([0, -1, 2**32, 2**255 - 1, -(2**255)])
any_energies = st.integers(0, 9).flatmap(lambda n: energies if n else bad_energies)
meter_numbers = st.integers(1, 5)
bad_numbers = st.sampled_from([0, 6, 7, 65_535])
any_numbers = st.integers(0, 14).flatmap(lambda n: meter_numbers if n else bad_numbers)
meters = st.sampled_from(METERS)
accounts = st.sampled_from([OWNER, AGGREGATOR, OPERATOR, STRANGER, *METERS[:2]])
max_matches = st.one_of(st.integers(1, 6), st.sampled_from([0, 256, 257]))


def sent_by(*roles: str) -> st.SearchStrategy[str]:
    """Mostly who may send it, now and then somebody else."""
    return st.integers(0, 11).flatmap(lambda n: st.sampled_from(roles) if n else accounts)


@st.composite
def single_posts(draw: st.DrawFn) -> Call:
    """One order, posted by its meter, the metering operator or somebody else."""
    meter = draw(st.sampled_from(REGISTERED) if draw(st.integers(0, 9)) else meters)
    sender = draw(sent_by(meter, "metering_operator"))
    method = draw(st.sampled_from(["post_request", "post_release"]))
    return Call(sender, method, (meter, draw(any_energies)))


@st.composite
def order_lists(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Meter numbers and energies of the orders of a batch, now and then bad ones."""
    numbers = draw(st.sampled_from([meter_numbers, meter_numbers, any_numbers]))
    wh = draw(st.sampled_from([small_energies, energies, any_energies]))
    return draw(st.lists(st.tuples(numbers, wh), max_size=11))


@st.composite
def batch_posts(draw: st.DrawFn) -> Call:
    """A batch of orders; one bad one spoils it."""
    orders = draw(order_lists())
    sender = draw(sent_by("metering_operator"))
    return draw(
        st.sampled_from(
            [
                Call(sender, "post_requests", ([Request(*order) for order in orders],)),
                Call(sender, "post_releases", ([Release(*order) for order in orders],)),
            ]
        )
    )


@st.composite
def batch_trades(draw: st.DrawFn) -> Call:
    """Batches of both sides, matched as they are posted; one bad order spoils both."""
    requests = [Request(*order) for order in draw(order_lists())]
    releases = [Release(*order) for order in draw(order_lists())]
    sender = draw(sent_by("metering_operator"))
    return Call(sender, "post_and_match", (requests, releases, draw(max_matches)))


signers = st.sampled_from([*METERS[:5], *METERS[:5], METERS[5], STRANGER])
unsigned = st.builds(
    Unsigned,
    signers,
    st.sampled_from(Kind),
    st.one_of(small_energies, small_energies, st.sampled_from([0, MAX_ENERGY])),
)
flawed = st.builds(
    Unsigned,
    signers,
    st.sampled_from(Kind),
    small_energies,
    early=st.sampled_from([0, 1, PERIOD, PERIOD + 1, 10**9]),
    price=st.sampled_from([0, 0, 1]),
    periods=st.sampled_from([0, 0, 1, 2]),
    chains=st.sampled_from([0, 0, 1]),
    forged=st.sampled_from([0, 0, 1, 2**254, 2**255, 2**300]),
)
signed_batches = st.lists(st.one_of(unsigned, unsigned, unsigned, flawed), max_size=8).map(tuple)


@st.composite
def confirmations(draw: st.DrawFn) -> Call:
    """A batch of confirmations, from a word's start more often than not."""
    first = draw(st.sampled_from([0, 0, 4, 8, 2040, 2044, 2048]))
    if not draw(st.integers(0, 9)):
        first += draw(st.sampled_from([1, 2, 3, 2**255]))
    batch = draw(st.lists(st.one_of(st.just(0), st.integers(0, 2)), max_size=9))
    return Call(draw(sent_by("metering_operator")), "confirm_deliveries", (first, batch))


def calls_of(method: str, sender: Any, *arguments: Any) -> st.SearchStrategy[Call]:
    """Calls of one method."""
    return st.builds(Call, sender, st.just(method), st.tuples(*arguments))


match_indexes = st.one_of(st.integers(0, 20), st.integers(2040, 2060))
match_counts = st.one_of(st.integers(1, 9), st.sampled_from([0, 256, 257]))
new_roles = st.one_of(accounts, accounts, st.just(ZERO_ADDRESS))

CALLS: dict[str, tuple[int, st.SearchStrategy[Call]]] = {
    "single post": (10, single_posts()),
    "batch": (7, batch_posts()),
    "signed orders": (6, calls_of(
        "post_signed", accounts, signed_batches, st.sampled_from([False, False, False, True]))),
    "batches of both sides": (5, batch_trades()),
    "match": (7, calls_of("match_pending", accounts, max_matches)),
    "match energy": (3, calls_of("match_energy", sent_by("aggregator"), any_energies)),
    "consume": (3, meters.flatmap(lambda m: calls_of(
        "consume", sent_by(m, "metering_operator"), st.just(m), any_energies))),
    "consume match": (3, calls_of(
        "consume_match", sent_by("metering_operator", *METERS[:3]), match_indexes, any_energies)),
    "confirm": (3, confirmations()),
    "confirm all": (3, calls_of(
        "confirm_matches", sent_by("metering_operator"), match_indexes, match_counts)),
    "wait": (1, calls_of("wait", st.just(OWNER), st.sampled_from([1, 3, PERIOD, 5 * PERIOD]))),
    "register": (1, calls_of(
        "register_meters", sent_by("owner", "metering_operator"), st.lists(meters, max_size=2))),
    "retire": (1, calls_of("retire_meter", sent_by("owner", "metering_operator"), meters)),
    "pause": (1, calls_of("pause", sent_by("owner"))),
    "unpause": (2, calls_of("unpause", sent_by("owner"))),
    "aggregator": (1, calls_of("set_aggregator", sent_by("owner"), new_roles)),
    "operator": (1, calls_of("set_metering_operator", sent_by("owner"), new_roles)),
    "transfer": (1, calls_of("transfer_ownership", sent_by("owner"), new_roles)),
    "accept": (1, calls_of("accept_ownership", sent_by("pending_owner"))),
}  # fmt: skip
KINDS = [kind for kind, (weight, _) in CALLS.items() for _ in range(weight)]

any_call = st.sampled_from(KINDS).flatmap(lambda kind: CALLS[kind][1])


def histories(min_size: int, max_size: int) -> st.SearchStrategy[list[Call]]:
    """Arbitrary calls, one after the other."""
    return st.lists(any_call, min_size=min_size, max_size=max_size)


good_requests = st.lists(st.builds(Request, meter_numbers, small_energies), min_size=1, max_size=6)
good_releases = st.lists(st.builds(Release, meter_numbers, small_energies), min_size=1, max_size=6)
good_posts = st.one_of(
    calls_of("post_requests", st.just(OPERATOR), good_requests),
    calls_of("post_releases", st.just(OPERATOR), good_releases),
)
"""Batches that are posted as long as there is room."""
