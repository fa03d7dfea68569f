"""What is measured: every scenario, with the words that it has to touch at least."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.bounds import (
    Log,
    Touched,
    array_log,
    first_written,
    logged,
    matched_of,
    overwritten,
    read,
    recovered,
)
from benchmarks.laboratory import Cost
from benchmarks.subjects import (
    FIRST_ENERGY,
    FIRST_LAP,
    METERS,
    STEADY,
    AddressRing,
    AncestorsWay,
    Market,
    energies,
    meter,
    release_words,
    request_words,
)
from energy_chain.gas import words_of
from energy_chain.market import (
    CAPACITY,
    LANES_PER_WORD,
    MATCH_CAPACITY,
    MAX_BATCH,
    MAX_METERS,
    MAX_SIGNED,
    Release,
    Request,
)
from energy_chain.meters import Readings, net_positions
from energy_chain.packing import pack_energies, pack_orders
from energy_chain.signing import Kind

BATCH = 100
"""The batch that goals are set for."""
BATCHES = (1, 10, 50, BATCH, 250, MAX_BATCH)
PACKED = (1, 4, 10, 50, BATCH, MAX_BATCH)
SIGNED = (1, 10, 50, MAX_SIGNED)
SEEDS = (1, 2, 3)
PERIOD_LENGTH = 900
"""Seconds."""
SCALING = "Scaling"
"""The heading of the scenarios that are about size."""


CALL = Touched()
"""One transaction that touches nothing."""
STATE = overwritten(1)
"""The state word, which every call that posts or matches reads and writes."""
REGISTRY = read(1)
"""The operator's address, and how many meters there are."""
CONSUMED = read(2) + overwritten(1) + logged(Log(1, 2))
"""State, the consumer's address and a word of matches, when a consumer confirms for itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario, measured.

    Attributes:
        contract: what was called.
        what: the step of an order's life.
        case: the shape of the scenario.
        lap: first lap or steady.
        units: how many orders, matches or pairs the gas was for.
        unit: what they are.
        cost: what the transactions used, all of them together.
        bound: what they have to use at least; None where the layout has no such figure.
        energy: Wh matched, where that is what a scenario is about.
    """

    contract: str
    what: str
    case: str
    lap: str
    units: int
    unit: str
    cost: Cost
    bound: int | None = None
    energy: int = 0

    @property
    def key(self) -> str:
        """What this scenario is called in budgets and comparisons."""
        return ", ".join(part for part in (self.contract, self.what, self.case, self.lap) if part)

    @property
    def title(self) -> str:
        """What people call it."""
        contract = "" if self.contract == Market.name else self.contract
        return ", ".join(part for part in (contract, self.what, self.case) if part)

    @property
    def each(self) -> float:
        """Gas for one order, match or pair."""
        return self.cost.total / self.units

    @property
    def ratio(self) -> float | None:
        """Measured over bound."""
        return None if self.bound is None else self.cost.total / self.bound


Group = Callable[[], Iterator[Row]]


class MarketScenarios:
    """The scenarios of one lap. Each leaves the market as it found it."""

    def __init__(self, lap: str) -> None:
        """Makes the market that they run on."""
        self.market = Market(lap)
        self.lap = lap

    def groups(self) -> dict[str, Group]:
        """The scenarios by their headings, in the order of the report."""
        return {
            "Matching": self.matching,
            "Posting": self.posting,
            "Posting signed orders": self.posting_signed,
            "Posting and matching in one call": self.posting_and_matching,
            "The ancestor's call": self.do_matching,
            "Confirming": self.confirming,
            "Registering": self.meters,
            "The whole life of a pair": self.lives,
        }

    def row(self, what: str, case: str, units: int, unit: str, cost: Cost, touched: Touched) -> Row:
        """A row of this lap, checked against what the calls have to touch."""
        assert cost.log == touched.log, f"{what}, {case}: logs cost {cost.log}, not {touched.log}"
        assert cost.storage >= touched.storage, f"{what}, {case}: storage is below its bound"
        bound = touched.bound(cost.calldata)
        return Row(self.market.name, what, case, self.lap, units, unit, cost, bound)

    # matching

    def matching(self) -> Iterator[Row]:
        """Matching of orders that are pending, in every shape."""
        for orders in BATCHES:
            yield self.matched(f"one to one, {orders}", energies(orders), energies(orders))
        for seed in SEEDS:
            draw = Random(seed)
            sides = [[draw.randint(1, 5_000) for _ in range(BATCH)] for _ in range(2)]
            yield self.matched(
                f"partial fills, uniform, {BATCH} orders a side, seed {seed}", *sides
            )
        for seed in SEEDS:
            draw = Random(seed + len(SEEDS))
            sides = [[1 + int(draw.expovariate(1 / 1_500)) for _ in range(BATCH)] for _ in range(2)]
            yield self.matched(
                f"partial fills, a few large, {BATCH} orders a side, seed {seed}", *sides
            )
        many = energies(BATCH)
        yield self.matched(f"one large producer, {BATCH} small consumers", [sum(many)], many)
        yield self.matched(f"{BATCH} small producers, one large consumer", many, [sum(many)])
        for lanes in (1, 2, 3):
            with self.market.lab.undone():
                # So many releases take one request: the three heads stand at different lanes.
                self.market.round_of([lanes * FIRST_ENERGY], [FIRST_ENERGY] * lanes)
                yield self.matched(f"one to one, {BATCH}, heads at lanes 1 and {lanes}", many, many)

    def matched(self, case: str, requests: list[int], releases: list[int]) -> Row:
        """Posts orders of these energies, and measures the call that matches them."""
        market = self.market
        with market.lab.undone():
            counters = market.counters()
            market.prepare("post_requests", request_words(requests))
            market.prepare("post_releases", release_words(releases))
            cost = market.send("match_pending", MAX_BATCH)
            matches, used_requests, used_releases = matched_of(requests, releases)
            assert market.counters()[2] - counters[2] == min(matches, MAX_BATCH)
            touched = CALL + STATE + self.match_of(counters, matches)
            touched += read(words_of(counters[0], used_requests))
            touched += read(words_of(counters[1], used_releases))
            return self.row("match", case, matches, "match", cost, touched)

    def match_of(self, counters: tuple[int, int, int], matches: int) -> Touched:
        """What writing matches has to touch, apart from the orders."""
        written = self.market.written(counters[2], matches, MATCH_CAPACITY)
        return written + logged(array_log(words_of(counters[2], matches)))

    def do_matching(self) -> Iterator[Row]:
        """The ancestor's call, for a pair."""
        market = self.market
        with market.lab.undone():
            market.round_of([FIRST_ENERGY], [FIRST_ENERGY])  # off the first lane: the dearer one
            self.post_pair()
            first = market.counters()[2]
            cost = market.send("doMatching", FIRST_ENERGY, sender=market.aggregator)
            touched = CALL + STATE + read(3) + logged(Log(1, 1))
            touched += market.written(first, 1, MATCH_CAPACITY)
            yield self.row("doMatching", "one pair", 1, "match", cost, touched)

    def post_pair(self) -> tuple[Cost, Cost]:
        """A request and a release of the same energy, each posted by its meter."""
        market = self.market
        return (
            market.send("incomingRequest", market.producer, FIRST_ENERGY, sender=market.producer),
            market.send("incomingRelease", market.consumer, FIRST_ENERGY, sender=market.consumer),
        )

    # posting

    def posting(self) -> Iterator[Row]:
        """Posting, by a meter itself and by the operator in packed batches."""
        market = self.market
        with market.lab.undone():
            for lane in range(2):
                counters = market.counters()
                for side, cost in enumerate(self.post_pair()):
                    yield self.row(
                        ("post a request", "post a release")[side],
                        f"by its meter, at lane {lane}",
                        1,
                        "order",
                        cost,
                        self.posted_single(counters[side]),
                    )
        for orders in PACKED:
            for what, words in (("requests", request_words), ("releases", release_words)):
                with market.lab.undone():
                    first = market.counters()[0]
                    cost = market.send(f"post_{what}", words(energies(orders)))
                    touched = CALL + STATE + REGISTRY + self.posted(first, orders)
                    yield self.row(
                        f"post {what}", f"packed, {orders}", orders, "order", cost, touched
                    )
        for orders in PACKED:
            yield self.both(orders, 0)

    def posted_single(self, counter: int) -> Touched:
        """What a meter that posts for itself has to touch."""
        return CALL + STATE + read(1) + self.market.written(counter, 1) + logged(Log(2, 2))

    def posted(self, first: int, orders: int) -> Touched:
        """What writing a packed batch of one side has to touch."""
        return self.market.written(first, orders) + logged(array_log(words_of(0, orders)))

    def posting_signed(self) -> Iterator[Row]:
        """Orders that their meters signed, posted by somebody else."""
        market = self.market
        for orders in SIGNED:
            for kind, what in (Kind.REQUEST, "requests"), (Kind.RELEASE, "releases"):
                with market.lab.undone():
                    first = market.counters()[kind]
                    arguments = market.signed(kind, energies(orders))
                    cost = market.send("post_signed", *arguments, sender=market.new_home)
                    touched = CALL + STATE + self.posted_signed(first, orders)
                    case = f"batch of {orders}"
                    yield self.row(f"post signed {what}", case, orders, "order", cost, touched)

    def posted_signed(self, first: int, orders: int) -> Touched:
        """What posting signed orders of one kind, of meters of one page, has to touch."""
        page = overwritten(1) if self.lap == STEADY else first_written(1)
        ring = self.market.written(first, orders) + logged(array_log(words_of(first, orders)))
        return recovered(orders) + read(orders) + page + ring

    def posting_and_matching(self) -> Iterator[Row]:
        """Both sides posted and matched in one call."""
        for orders in BATCHES:
            yield self.both(orders, MAX_BATCH)

    def both(self, orders: int, max_matches: int) -> Row:
        """Posts so many orders a side in one call, and matches them unless `max_matches` is 0."""
        market = self.market
        with market.lab.undone():
            counters = market.counters()
            words = request_words(energies(orders)), release_words(energies(orders))
            cost = market.send("post_and_match", *words, max_matches)
            touched = CALL + STATE + REGISTRY
            for first in counters[:2]:
                touched += self.posted(first, orders)
            if max_matches == 0:
                what, units, unit = "post both sides", 2 * orders, "order"
            else:
                what, units, unit = "post and match", orders, "pair"
                touched += self.match_of(counters, orders)
            return self.row(what, f"packed, {orders} a side", units, unit, cost, touched)

    # consuming

    def confirming(self) -> Iterator[Row]:
        """Confirming what was drawn, by a consumer itself and by the operator."""
        market = self.market
        with market.lab.undone():
            self.post_pair()
            market.prepare("match_pending", 1)
            index = market.counters()[2] - 1
            for function, arguments in (
                ("consume_match", (index, FIRST_ENERGY // 2)),
                ("consume", (market.consumer, FIRST_ENERGY // 2)),
            ):
                cost = market.send(function, *arguments, sender=market.consumer)
                # `consume` knows the consumer and has to find its number and the match.
                touched = CALL + CONSUMED + read(function == "consume")
                yield self.row(function, "the latest match", 1, "match", cost, touched)
        for orders in PACKED:
            with market.lab.undone():
                first, many = market.counters()[2], energies(orders)
                market.round_of(many, many)
                for function, argument, log in (
                    ("confirm_deliveries", pack_energies(many), array_log(words_of(0, orders))),
                    ("confirm_matches", orders, Log(1, 2)),
                ):
                    with market.lab.undone():
                        cost = market.send(function, first, argument)
                    touched = CALL + read(2) + overwritten(words_of(first, orders)) + logged(log)
                    yield self.row(function, f"batch of {orders}", orders, "match", cost, touched)

    # meters

    def meters(self) -> Iterator[Row]:
        """Registering and retiring; slots of new meters are always written for the first time."""
        market = self.market
        for count in (1, BATCH, MAX_BATCH):
            with market.lab.undone():
                new = [meter(METERS + 1 + i) for i in range(count)]
                cost = market.send("register_meters", new)
                # The operator is no owner: that is looked up as well.
                touched = CALL + STATE + read(1) + first_written(2 * count)
                touched += logged(*(Log(2, 1) for _ in new))
                yield self.row("register meters", f"{count} new", count, "meter", cost, touched)

    # lives

    def lives(self) -> Iterator[Row]:
        """The whole life of matched pairs: posted, matched, confirmed."""
        market, many = self.market, energies(BATCH)
        counters = market.counters()
        first = counters[2]
        words = request_words(many), release_words(many)
        orders = read(2 * words_of(0, BATCH))
        matched = self.match_of(counters, BATCH)
        confirmed = read(2) + overwritten(words_of(first, BATCH))
        posted = [REGISTRY + self.posted(counter, BATCH) for counter in counters[:2]]
        with market.lab.undone():
            cost = market.send("post_requests", words[0])
            cost += market.send("post_releases", words[1])
            cost += market.send("match_pending", MAX_BATCH)
            cost += market.send("confirm_deliveries", first, pack_energies(many))
            touched = sum((CALL + STATE + side for side in posted), CALL + STATE + orders + matched)
            touched += CALL + confirmed + logged(array_log(words_of(0, BATCH)))
            yield self.row(
                "whole life", f"operator, four calls, {BATCH} pairs", BATCH, "pair", cost, touched
            )
        with market.lab.undone():
            cost = market.send("post_and_match", *words, MAX_BATCH)
            cost += market.send("confirm_matches", first, BATCH)
            touched = CALL + STATE + REGISTRY + matched + CALL + confirmed + logged(Log(1, 2))
            for counter in counters[:2]:
                touched += self.posted(counter, BATCH)
            yield self.row(
                "whole life", f"operator, two calls, {BATCH} pairs", BATCH, "pair", cost, touched
            )
        with market.lab.undone():
            cost = Cost()
            touched = CALL + STATE + orders + matched + CALL + confirmed + logged(Log(1, 2))
            for kind in Kind:
                arguments = market.signed(kind, many)
                cost += market.send("post_signed", *arguments, sender=market.new_home)
                touched += CALL + STATE + self.posted_signed(counters[kind], BATCH)
            cost += market.send("match_pending", MAX_BATCH)
            cost += market.send("confirm_matches", first, BATCH)
            case = f"signed by the meters, four calls, {BATCH} pairs"
            yield self.row("whole life", case, BATCH, "pair", cost, touched)
        with market.lab.undone():
            cost, touched = Cost(), CALL + STATE + orders + matched
            for i in range(BATCH):
                for side, one in enumerate(self.post_pair()):
                    cost += one
                    touched += self.posted_single(counters[side] + i)
            cost += market.send("match_pending", BATCH)
            for index in range(first, first + BATCH):
                cost += market.send("consume_match", index, FIRST_ENERGY, sender=market.consumer)
                touched += CALL + CONSUMED
            case = "one transaction each, matched in a batch"
            yield self.row("whole life", case, BATCH, "pair", cost, touched)

    # size

    def occupancy(self) -> Iterator[Row]:
        """Matching and posting beside so many orders that are pending."""
        market = self.market
        for pending in (BATCH, 256, 512, CAPACITY - LANES_PER_WORD):
            case = f"{pending} orders a side pending"
            with market.lab.undone():
                for start in range(0, pending, MAX_BATCH):
                    some = energies(min(MAX_BATCH, pending - start))
                    market.prepare("post_and_match", request_words(some), release_words(some), 0)
                cost = market.send("match_pending", BATCH)
                yield Row(market.name, f"match {BATCH}", case, self.lap, BATCH, "match", cost)
            with market.lab.undone():
                for start in range(BATCH, pending, MAX_BATCH):
                    some = energies(min(MAX_BATCH, pending - start))
                    market.prepare("post_requests", request_words(some))
                cost = market.send("post_requests", request_words(energies(BATCH)))
                what = f"post {BATCH} requests"
                yield Row(market.name, what, case, self.lap, BATCH, "order", cost)

    def registered(self) -> Iterator[Row]:
        """The same calls for the 200 highest of so many meters, up to the last number."""
        market = self.market
        for meters in (2 * METERS, 4_096, MAX_METERS):
            case, first = f"{meters} meters", market.counters()[2]
            with market.lab.undone():
                market.skip_meters(meters - METERS)
                home = market.new_home
                others = [meter(meters - i) for i in range(METERS - 1)]
                market.prepare("register_meters", [home, *others])
                lowest = meters - METERS + 1
                with market.lab.undone():
                    cost = market.send("incomingRequest", home, FIRST_ENERGY, sender=home)
                yield Row(market.name, "post a request", case, self.lap, 1, "order", cost)
                cost = market.send("post_requests", request_words(energies(BATCH), lowest))
                what = f"post {BATCH} requests"
                yield Row(market.name, what, case, self.lap, BATCH, "order", cost)
                market.prepare("post_releases", release_words(energies(BATCH), lowest))
                cost = market.send("match_pending", MAX_BATCH)
                yield Row(market.name, f"match {BATCH}", case, self.lap, BATCH, "match", cost)
                cost = market.send("confirm_matches", first, BATCH)
                yield Row(market.name, f"confirm {BATCH}", case, self.lap, BATCH, "match", cost)


def periods() -> Iterator[Row]:
    """The first call of a period: what was pending expires, however much it is."""
    market = Market(STEADY, PERIOD_LENGTH)
    chain = market.lab.chain
    for pending in (0, BATCH, 4 * MAX_BATCH - 4):
        with market.lab.undone():
            for start in range(0, pending, MAX_BATCH):
                words = request_words(energies(min(MAX_BATCH, pending - start)))
                market.prepare("post_requests", words)
            chain.sleep(PERIOD_LENGTH)
            cost = market.send("match_pending", 1)
            bound = (CALL + STATE + logged(Log(2, 2))).bound(cost.calldata)
            case = f"{pending} orders expire"
            yield Row(market.name, "open a period", case, STEADY, 1, "call", cost, bound)


def address_ring() -> Iterator[Row]:
    """The baseline of a word an order."""
    for lap in (FIRST_LAP, STEADY):
        ring = AddressRing(lap)
        for orders in (1, 10, 50, BATCH, 250) if lap == STEADY else (BATCH,):
            with ring.lab.undone():
                costs = ring.round_of(orders)
            bounds = _ring_bounds(lap, orders)
            for what, cost in costs.items():
                unit = "order" if what.startswith("post") else "match"
                bound = bounds[what].bound(cost.calldata)
                yield Row(ring.name, what, f"one to one, {orders}", lap, orders, unit, cost, bound)
            if orders == BATCH:
                cost = sum(costs.values(), Cost())
                case = f"operator, four calls, {BATCH} pairs"
                yield Row(ring.name, "whole life", case, lap, BATCH, "pair", cost)
    for what, cost in ring.singles().items():
        yield Row(ring.name, what, "one transaction each", STEADY, 1, "call", cost)


def _ring_bounds(lap: str, orders: int) -> dict[str, Touched]:
    written = (first_written if lap == FIRST_LAP else overwritten)(orders)
    batch = logged(array_log(orders))
    return {
        "post requests": CALL + STATE + written + batch,
        "post releases": CALL + STATE + written + batch,
        "match": CALL + STATE + read(2 * orders) + written + batch,
        "confirm": CALL + read(1) + overwritten(orders) + batch,
    }


def ancestors_way() -> Iterator[Row]:
    """The baseline of a match a transaction."""
    ancestor = AncestorsWay()
    for lap in (FIRST_LAP, STEADY):
        costs = ancestor.singles()
        for what, cost in costs.items():
            yield Row(ancestor.name, what, "one transaction each", lap, 1, "call", cost)
        life = sum(costs.values(), Cost())
        yield Row(ancestor.name, "whole life", "one transaction each", lap, 1, "pair", life)


def a_day(readings: Readings, neighbourhood: str) -> Iterator[Row]:
    """A day of a neighbourhood: by the operator in batches, and by each meter for itself."""
    ways = {"by the operator": _day_in_batches, "by each meter": _day_of_singles}
    length = int(readings.period.total_seconds())
    traded = [
        (int(positions.start.timestamp()), list(positions.energies.values()))
        for positions in net_positions(readings)
    ]
    energy = sum(
        min(sum(max(wh, 0) for wh in homes), sum(max(-wh, 0) for wh in homes))
        for _, homes in traded
    )
    for lap in (STEADY, FIRST_LAP):
        # Long enough before for the rings to be written, a block a second.
        begin = traded[0][0] // length * length - 10 * length
        market = Market(lap, length, len(readings.meters), begin)
        chain = market.lab.chain
        for way, trade in ways.items():
            with market.lab.undone():
                before, cost = market.counters()[2], Cost()
                for start, homes in traded:
                    chain.sleep(start - chain.time())
                    cost = sum(trade(market, homes), cost)
                matches = market.counters()[2] - before
                case = f"{neighbourhood}, {way}"
                yield Row(market.name, "a day", case, lap, matches, "match", cost, energy=energy)


def _day_in_batches(market: Market, homes: list[int]) -> Iterator[Cost]:
    numbered = list(enumerate(homes, 1))
    requests = pack_orders([Request(n, wh) for n, wh in numbered if wh > 0])
    releases = pack_orders([Release(n, -wh) for n, wh in numbered if wh < 0])
    if requests or releases:
        first = market.counters()[2]
        yield market.send("post_and_match", requests, releases, MAX_BATCH)
        if matches := market.counters()[2] - first:
            yield market.send("confirm_matches", first, matches)


def _day_of_singles(market: Market, homes: list[int]) -> Iterator[Cost]:
    for home, wh in zip(market.homes, homes, strict=True):
        if wh:
            function = "incomingRequest" if wh > 0 else "incomingRelease"
            yield market.send(function, home, abs(wh), sender=home)
    first = market.counters()[2]
    if any(wh > 0 for wh in homes) and any(wh < 0 for wh in homes):
        yield market.send("match_pending", MAX_BATCH, sender=market.aggregator)
    for index in range(first, market.counters()[2]):
        _, _, consumer, energy = market.contract.words("match_at", index)
        account = next(home for home in market.homes if int(home, 16) == consumer)
        yield market.send("consume_match", index, energy, sender=account)
