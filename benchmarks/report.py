"""The report: what was measured, as JSON for programs and as Markdown for people."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks import bounds
from benchmarks.laboratory import Cost
from benchmarks.scenarios import BATCH, SCALING, Row
from benchmarks.subjects import FIRST_LAP, STEADY, AddressRing, AncestorsWay, Market
from energy_chain import gas
from energy_chain.chain.embedded import BLOCK_GAS_LIMIT
from energy_chain.market import LANES_PER_WORD, MAX_BATCH

MONEY = Path(__file__).parent / "money.toml"
SETTINGS = ("vyper", "evm", "optimizer")
"""What a report has to have in common with another to be compared, or with a budget."""
PARTS = ("intrinsic", "calldata", "storage", "log", "computation")
BEGIN, END = "<!-- gas: python -m benchmarks -->", "<!-- end of gas -->"
"""Where the README keeps the main table."""

TWO_CALLS = f"whole life, operator, two calls, {BATCH} pairs"
SIGNED_LIFE = f"whole life, signed by the meters, four calls, {BATCH} pairs"
FOUR_CALLS = f"whole life, operator, four calls, {BATCH} pairs"
ONE_EACH = "whole life, one transaction each, matched in a batch"


@dataclass(frozen=True, slots=True)
class Report:
    """A run of the benchmark.

    Attributes:
        vyper: the compiler's version.
        evm: the rules of the chain.
        optimizer: the compiler's mode.
        deployment: gas and bytes of the contract.
        rows: every scenario, by the heading that it stands under.
    """

    vyper: str
    evm: str
    optimizer: str
    deployment: dict[str, int]
    rows: dict[str, list[Row]]

    def all_rows(self) -> list[Row]:
        """Every scenario."""
        return [row for rows in self.rows.values() for row in rows]

    def row(self, key: str) -> Row:
        """The scenario of a key."""
        return next(row for row in self.all_rows() if row.key == key)

    def to_json(self) -> str:
        """As JSON, the same for the same figures."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """What `to_json` wrote.

        Raises:
            ValueError: it is no report of this version.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            rows = {
                heading: [Row(**{**row, "cost": Cost(**row["cost"])}) for row in rows]
                for heading, rows in told.pop("rows").items()
            }
            return cls(rows=rows, **told)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "no report of this version: give a report.json that python -m benchmarks wrote"
            ) from error


@dataclass(frozen=True, slots=True)
class Setting:
    """What gas costs on a chain, by assumption: see `money.toml`."""

    gas_price: float
    data_price: float
    token_price: float
    block_gas: int
    block_time: float

    def euro(self, cost: Cost) -> float:
        """Euro for what transactions used."""
        gwei = cost.total * self.gas_price + cost.data_bytes * self.data_price
        return gwei * 1e-9 * self.token_price


@dataclass(frozen=True, slots=True)
class Money:
    """The settings of a file, by name."""

    file: str
    settings: dict[str, Setting]


def read_money(path: Path = MONEY) -> Money:
    """The settings of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML, or a setting has other values than `Setting`; says which.
    """
    known = {field.name for field in fields(Setting)}
    settings = {}
    try:
        told = tomllib.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    if not told:
        raise ValueError(f"{path} has no setting: write one as in {MONEY.name}")
    for name, values in told.items():
        where = f'{path}, ["{name}"]'
        if not isinstance(values, dict) or values.keys() != known:
            raise ValueError(f"{where}: give {', '.join(sorted(known))}, and nothing else")
        for key, value in values.items():
            least = 0 if key.endswith("price") else 1e-9
            if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
                raise ValueError(f"{where}: {key} is {value!r}: give a number from {least:g} on")
        settings[name] = Setting(**values)
    return Money(path.name, settings)


HEADS = (
    "gas each, events included",
    *("here", "lower bound", "ratio", AddressRing.name, AncestorsWay.name),
)


def main_rows(report: Report) -> list[list[str]]:
    """The figures that people compare, under `HEADS`."""
    market, ring, ancestor = (kind.name for kind in (Market, AddressRing, AncestorsWay))

    def gas(contract: str, rest: str) -> str:
        return number(report.row(f"{contract}, {rest}").each)

    lines = [
        (
            f"match, batch of {BATCH}, one to one",
            f"match, one to one, {BATCH}, {STEADY}",
            gas(ring, f"match, one to one, {BATCH}, {STEADY}"),
            gas(ancestor, f"match, one transaction each, {STEADY}"),
        ),
        (
            "the same, in the first lap",
            f"match, one to one, {BATCH}, {FIRST_LAP}",
            gas(ring, f"match, one to one, {BATCH}, {FIRST_LAP}"),
            gas(ancestor, f"match, one transaction each, {FIRST_LAP}"),
        ),
        (
            f"match, {BATCH} unequal orders a side",
            f"match, partial fills, uniform, {BATCH} orders a side, seed 1, {STEADY}",
            "",
            "",
        ),
        (
            f"post, packed batch of {BATCH}",
            f"post requests, packed, {BATCH}, {STEADY}",
            gas(ring, f"post requests, one to one, {BATCH}, {STEADY}"),
            "",
        ),
        (
            f"post, {BATCH} a side in one call",
            f"post both sides, packed, {BATCH} a side, {STEADY}",
            "",
            "",
        ),
        (
            f"post, signed by the meters, batch of {BATCH}",
            f"post signed requests, batch of {BATCH}, {STEADY}",
            "",
            "",
        ),
        (
            "the same, batch of 50",
            f"post signed requests, batch of 50, {STEADY}",
            "",
            "",
        ),
        (
            f"confirm {BATCH} deliveries, each with its energy",
            f"confirm_deliveries, batch of {BATCH}, {STEADY}",
            gas(ring, f"confirm, one to one, {BATCH}, {STEADY}"),
            "",
        ),
        (
            f"confirm {BATCH} deliveries as matched",
            f"confirm_matches, batch of {BATCH}, {STEADY}",
            "",
            "",
        ),
        (f"whole life, {BATCH} pairs, operator, two calls", f"{TWO_CALLS}, {STEADY}", "", ""),
        (
            f"whole life, {BATCH} pairs, operator, four calls",
            f"{FOUR_CALLS}, {STEADY}",
            gas(ring, f"{FOUR_CALLS}, {STEADY}"),
            "",
        ),
        (f"whole life, {BATCH} pairs, signed by the meters", f"{SIGNED_LIFE}, {STEADY}", "", ""),
        (
            "whole life, each meter for itself",
            f"{ONE_EACH}, {STEADY}",
            "",
            gas(ancestor, f"whole life, one transaction each, {STEADY}"),
        ),
        (
            "`incomingRequest`, by a meter for itself",
            f"post a request, by its meter, at lane 1, {STEADY}",
            gas(ring, f"post request, one transaction each, {STEADY}"),
            gas(ancestor, f"post request, one transaction each, {STEADY}"),
        ),
        (
            "`consume_match`, by a consumer for itself",
            f"consume_match, the latest match, {STEADY}",
            gas(ring, f"consume, one transaction each, {STEADY}"),
            gas(ancestor, f"consume, one transaction each, {STEADY}"),
        ),
        (
            "`doMatching`, one pair",
            f"doMatching, one pair, {STEADY}",
            gas(ring, f"match, one transaction each, {STEADY}"),
            gas(ancestor, f"match, one transaction each, {STEADY}"),
        ),
    ]
    lines += [
        (f"a match of a day, {day.case}", day.key.partition(", ")[2], "", "")
        for day in _days(report)
        if day.lap == STEADY
    ]
    return [
        [
            what,
            number(row.each),
            "" if row.bound is None else number(row.bound / row.units),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            of_ring,
            of_ancestor,
        ]
        for what, key, of_ring, of_ancestor in lines
        for row in [report.row(f"{market}, {key}")]
    ]


def main_table(report: Report) -> str:
    """`main_rows` as Markdown, as the README has it."""
    return table(HEADS, main_rows(report))


def markdown(report: Report, money: Money) -> str:
    """The whole report."""
    deployed = report.deployment
    parts = [
        "# Gas report",
        "Written by `python -m benchmarks`; `python -m benchmarks --check` fails when it is not "
        "current. Every figure is gas that receipts of py-evm say was used, which is the same on "
        "Ganache and anvil.",
        f"Vyper {report.vyper}, rules of {report.evm}, optimised for {report.optimizer}. "
        f"`EnergyContract` has {deployed['bytes']:,} bytes; deploying it takes "
        f"{deployed['gas']:,} gas.",
        "**First lap:** the slots of the rings are written for the first time. **Steady:** they "
        "all were written before. **each:** gas for one order, match or pair. **Lane:** a quarter "
        "of a word, which holds an order or a match. **Partial fills:** unequal orders, so that "
        "one is filled by several; *uniform* are 1 to 5,000 Wh, *a few large* are exponential of "
        "mean 1,500 Wh, each drawn from a seed.",
        "## The main figures",
        main_table(report),
        f"Steady where nothing else is said. *{AddressRing.name}*: a word an order, what a careful "
        f"engineer writes first. *{AncestorsWay.name}*: a slot a field, a match a transaction, "
        "the newest first, and no events; its life includes the look-up, which writes. Matching "
        "clears a slot of Wh there, so a post has to write one anew even when steady. Both are in "
        "`benchmarks/baseline/` and lack periods, registered meters and roles.",
        "![Gas of a match against the batch](match.svg)",
        "![Gas of the whole life of a pair](life.svg)",
        "## The lower bound",
        "What the rules of the chain make every contract with this layout pay. What it leaves out "
        "is computation, so measured over bound says how much is left to gain.",
        "```text\n" + _formula() + "\n```",
        "It holds for transactions without an access list: one that lists the words that it will "
        "touch (EIP-2930) pays 100 gas less for each that it reads and 200 less for each that it "
        "writes unread, and 2,400 more.",
        "A word is 32 bytes of storage: four orders, or four matches. What calls have to touch, "
        "`n` being orders or matches from the start of a word on and `w = ceil(n / 4)`:",
        _touched_table(),
        f"One match more in a batch, from {BATCH} to {MAX_BATCH}, costs {_marginal_bound():,} of "
        f"bound and {_marginal(report):,.0f} measured.",
        "![What the gas of each step is spent on](parts.svg)",
    ]
    for heading, rows in report.rows.items():
        parts += [f"## {heading}", _rows_table(rows)]
        if any(row.energy for row in rows):
            told = (f"{row.case}: {row.energy / 1000:g} kWh in {row.units} matches" for row in rows)
            parts.append("; ".join(dict.fromkeys(told)) + ". Small batches: most is fixed cost.")
    parts += [
        f"Under *{SCALING}*, a call reads the next words as well where more is pending than it "
        "matches, and meter numbers above 255 have two bytes of calldata. Nothing else grows.",
        "![Gas against occupancy and meters](scaling.svg)",
        "## Money",
        f"**Assumptions, not quotations:** the prices are those of `{money.file}`, which anyone "
        f"may replace. A pair is one of {BATCH} that the operator posts, matches and confirms in "
        "two calls; the day is the one above. A block's gas bounds the pairs a second.",
        _money_table(report, money.settings),
        _capacity(report),
    ]
    return "\n\n".join(parts) + "\n"


def with_main_table(readme: str, report: Report) -> str:
    """The README with the main table as it is now.

    Raises:
        ValueError: the README has no place for it.
    """
    before, mark, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"the README has no {BEGIN} followed by {END}")
    return f"{before}{BEGIN}\n\n{main_table(report)}\n\n{END}{after}"


def compare(old: Report, new: Report) -> str:
    """What changed from one report to another, as Markdown."""
    before = {row.key: row.cost.total for row in old.all_rows()}
    after = {row.key: row.cost.total for row in new.all_rows()}
    told = [
        {name: str(getattr(side, name)) for name in SETTINGS}
        | {f"deployment, {what}": number(value) for what, value in side.deployment.items()}
        for side in (old, new)
    ]
    settings = [
        [name, value, told[1].get(name, "")]
        for name, value in told[0].items()
        if told[1].get(name) != value
    ]
    rows = [
        [
            key,
            number(before[key]) if key in before else "not there",
            number(after[key]) if key in after else "not there",
            f"{after[key] - before[key]:+,}" if key in before and key in after else "",
            f"{after[key] / before[key] - 1:+.2%}" if key in before and key in after else "",
        ]
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    same = len(before.keys() & after.keys()) - sum(1 for row in rows if row[3])
    parts = [f"{len(rows)} scenarios differ, {same} are the same."]
    if settings:
        parts.append(table(["setting", "before", "after"], settings))
    if rows:
        parts.append(table(["scenario", "gas before", "gas after", "change", "relative"], rows))
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """A figure for people."""
    return f"{value:,.0f}"


def _rows_table(rows: Sequence[Row]) -> str:
    heads = ["scenario", "lap", "gas", "each", "bound", "ratio", *PARTS]
    return table(
        heads,
        [
            [
                row.title,
                row.lap,
                number(row.cost.total),
                number(row.each),
                "" if row.bound is None else number(row.bound),
                "" if row.ratio is None else f"{row.ratio:.3f}",
                *(number(getattr(row.cost, part)) for part in PARTS),
            ]
            for row in rows
        ],
    )


def _formula() -> str:
    text = bounds.__doc__ or ""
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))


def _marginal(report: Report) -> float:
    small, large = (
        report.row(f"{Market.name}, match, one to one, {orders}, {STEADY}")
        for orders in (BATCH, MAX_BATCH)
    )
    return (large.cost.total - small.cost.total) / (large.units - small.units)


def _marginal_bound() -> int:
    a_word = 2 * gas.READ + gas.OVERWRITE + gas.LOG_BYTE * gas.WORD
    return a_word // LANES_PER_WORD


def _days(report: Report) -> list[Row]:
    return [row for row in report.all_rows() if row.energy]


def _money_table(report: Report, money: Mapping[str, Setting]) -> str:
    life = report.row(f"{Market.name}, {TWO_CALLS}, {STEADY}")
    heads = ["", *money]
    rows = [
        ["gas price, gwei", *(f"{s.gas_price:g}" for s in money.values())],
        ["data price, gwei a byte", *(f"{s.data_price:g}" for s in money.values())],
        ["token price, euro", *(f"{s.token_price:g}" for s in money.values())],
        ["a matched pair, euro", *(_euro(s.euro(life.cost) / life.units) for s in money.values())],
    ]
    for day in _days(report):
        rows.append(
            [
                f"a matched kWh, {day.case}, {day.lap}, euro",
                *(_euro(s.euro(day.cost) / day.energy * 1000) for s in money.values()),
            ]
        )
    rows.append(
        [
            "pairs a second at most",
            *(number(s.block_gas / s.block_time / life.each) for s in money.values()),
        ]
    )
    return table(heads, rows)


def _euro(value: float) -> str:
    return "0" if value == 0 else f"{value:.2f}" if value >= 0.995 else f"{value:.2g}"


def _capacity(report: Report) -> str:
    largest = {
        lap: report.row(f"{Market.name}, match, one to one, {MAX_BATCH}, {lap}").cost.total
        for lap in (FIRST_LAP, STEADY)
    }
    return (
        f"A call writes at most {MAX_BATCH} matches, so that is the largest batch: "
        + " and ".join(
            f"{number(gas)} gas ({lap}), of which a block of {BLOCK_GAS_LIMIT // 10**6} million "
            f"holds {BLOCK_GAS_LIMIT // gas}"
            for lap, gas in largest.items()
        )
        + "."
    )


def _touched_table() -> str:
    heads = ("call", "words read", "words overwritten", "words of data logged")
    rows = (
        ("`match_pending`", "2w, the orders", "w, and the state", "3 + w"),
        ("`post_requests`, `post_releases`", "1, the registry", "w, and the state", "3 + w"),
        (
            "`post_signed`, meters of one page",
            "n, the signers' numbers",
            "w, the state and the page",
            "3 + w",
        ),
        ("`post_and_match`", "1, the registry", "3w, and the state", "three logs of 3 + w"),
        ("`confirm_deliveries`", "2, registry and state", "w", "3 + w"),
        ("`confirm_matches`", "2, registry and state", "w", "2"),
        ("`incomingRequest`, `incomingRelease`", "1, the meter's number", "2", "2, one more topic"),
        ("`consume_match`", "2, state and the meter's address", "1", "2"),
        ("`doMatching`, one pair", "3, orders and the aggregator", "2", "1"),
    )
    return table(heads, rows)
