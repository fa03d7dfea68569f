"""The plots of the report, as SVG: the same bytes for the same figures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from benchmarks.report import (
    FOUR_CALLS,
    ONE_EACH,
    PARTS,
    SIGNED_LIFE,
    TWO_CALLS,
    Report,
    number,
)
from benchmarks.scenarios import BATCH, SCALING, Row
from benchmarks.subjects import FIRST_LAP, STEADY, AddressRing, AncestorsWay, Market

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stay apart for colour-blind readers (Okabe and Ito, 2008).
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    *("#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7"),
)
GREY = "#8a8a8a"
PART_COLOURS = dict(zip(PARTS, (GREY, PINK, BLUE, GREEN, ORANGE), strict=True))
STEP_COLOURS = {"match": BLUE, "post": ORANGE, "confirm": GREEN}
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "energy-chain",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
}
"""Without the time and with fixed names, so that two runs give the same file."""


def plots(report: Report) -> dict[str, str]:
    """Every plot, by the name of its file."""
    import matplotlib

    matplotlib.use("svg")
    with matplotlib.rc_context(SETTINGS):
        return {
            "match.svg": _svg(_match(report)),
            "life.svg": _svg(_life(report)),
            "parts.svg": _svg(_parts(report)),
            "scaling.svg": _svg(_scaling(report)),
        }


def _svg(figure: Figure) -> str:
    import matplotlib.pyplot as plt

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    # Some lines end in blanks, which the repository's tools would cut off.
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    import matplotlib.pyplot as plt

    return plt.subplots(1, columns, figsize=(width, height))


def _series(report: Report, contract: str, what: str, case: str, lap: str) -> list[Row]:
    rows = (row for row in report.all_rows() if row.contract == contract and row.what == what)
    return sorted(
        (row for row in rows if row.case.rpartition(", ")[0] == case and row.lap == lap),
        key=lambda row: row.units,
    )


def _match(report: Report) -> Figure:
    """Gas of a match against the batch, with the bound and both baselines."""
    figure, axes = _figure(7.2, 4.4)
    ancestor = report.row(f"{AncestorsWay.name}, match, one transaction each, {STEADY}").each
    axes.axhline(ancestor, color=RED, linewidth=2)
    _label(axes, 3, ancestor * 1.08, f"{AncestorsWay.name}: one match a transaction", RED)
    for contract, lap, colour, text in (
        (AddressRing.name, STEADY, ORANGE, AddressRing.name),
        (Market.name, FIRST_LAP, SKY, "here, first lap"),
        (Market.name, STEADY, BLUE, "here, steady"),
    ):
        rows = _series(report, contract, "match", "one to one", lap)
        if contract == Market.name:
            rows = [row for row in rows if row.units != 250]  # one blot with 256
        counts, gas = [row.units for row in rows], [row.each for row in rows]
        axes.plot(counts, gas, color=colour, marker="o", markersize=4, linewidth=2)
        _label(axes, counts[-1] * 1.12, gas[-1], f"{text}\n{number(gas[-1])}", colour, "center")
    bounds = [row.bound / row.units for row in rows if row.bound is not None]
    axes.plot(counts, bounds, color=BLACK, linestyle=":", linewidth=1.5)
    _label(axes, counts[-1] * 1.12, bounds[-1] * 0.84, "lower bound", BLACK, "center")
    axes.set(xscale="log", yscale="log", xlim=(0.9, 900), ylim=(1_800, 90_000))
    axes.set_xlabel("matches in one call")
    axes.set_ylabel("gas of a match")
    axes.set_xticks([1, 10, 50, 100, 256], ["1", "10", "50", "100", "256"])
    axes.set_yticks([2_000, 5_000, 10_000, 20_000, 50_000], ["2k", "5k", "10k", "20k", "50k"])
    axes.minorticks_off()
    axes.set_title("Gas of a match, events included", loc="left")
    return figure


def _life(report: Report) -> Figure:
    """Gas of the whole life of a pair, each way of trading, by what it is spent on."""
    ancestor, ring, market = AncestorsWay.name, AddressRing.name, Market.name
    lives = {
        f"{ancestor},\none transaction each": f"{ancestor}, whole life, one transaction each",
        "here, each meter for itself,\nmatched in a batch": f"{market}, {ONE_EACH}",
        f"here, signed by the meters,\nfour calls, {BATCH} pairs": f"{market}, {SIGNED_LIFE}",
        f"{ring}, four calls,\n{BATCH} pairs": f"{ring}, {FOUR_CALLS}",
        f"here, four calls,\n{BATCH} pairs": f"{market}, {FOUR_CALLS}",
        f"here, two calls,\n{BATCH} pairs": f"{market}, {TWO_CALLS}",
    }
    rows = [report.row(f"{key}, {STEADY}") for key in lives.values()]
    figure, axes = _figure(7.2, 4.1)
    _stacked(axes, list(lives), rows)
    axes.set_title("Gas of the whole life of a matched pair, steady", loc="left")
    return figure


def _parts(report: Report) -> Figure:
    """What the gas of each step is spent on."""
    uneven = f"match, partial fills, uniform, {BATCH} orders a side, seed 1"
    steps = {
        f"match, {BATCH}": f"match, one to one, {BATCH}",
        f"match, {BATCH} unequal a side": uneven,
        f"post {BATCH} requests": f"post requests, packed, {BATCH}",
        f"post {BATCH} signed requests": f"post signed requests, batch of {BATCH}",
        f"post {BATCH} a side": f"post both sides, packed, {BATCH} a side",
        f"confirm {BATCH}, each energy": f"confirm_deliveries, batch of {BATCH}",
        f"confirm {BATCH} as matched": f"confirm_matches, batch of {BATCH}",
    }
    rows = [report.row(f"{Market.name}, {key}, {STEADY}") for key in steps.values()]
    figure, axes = _figure(7.2, 4.5)
    _stacked(axes, list(steps), rows)
    axes.set_title("Gas of an order or a match in a batch, steady", loc="left")
    return figure


def _stacked(axes: Axes, names: list[str], rows: list[Row]) -> None:
    begins = [0.0] * len(rows)
    for part in PARTS:
        widths = [getattr(row.cost, part) / row.units for row in rows]
        axes.barh(names, widths, left=begins, color=PART_COLOURS[part], label=part, height=0.65)
        begins = [begin + width for begin, width in zip(begins, widths, strict=True)]
    largest = max(begins)
    for place, row in enumerate(rows):
        axes.text(row.each + largest * 0.01, place, number(row.each), va="center")
    axes.set_xlim(0, largest * 1.12)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.set_xlabel("gas")
    axes.legend(frameon=False, ncols=len(PARTS), loc="upper center", bbox_to_anchor=(0.4, -0.18))


def _scaling(report: Report) -> Figure:
    """Gas against what could grow: pending orders and registered meters."""
    figure, (left, right) = _figure(7.2, 3.4, columns=2)
    rows = report.rows[SCALING]
    for axes, word, heading in (
        (left, "orders a side pending", "orders pending a side"),
        (right, "meters", "meters registered"),
    ):
        # A single post costs ten times as much as the others: it is in the table.
        batches = [row for row in rows if row.case.endswith(word) and row.units > 1]
        for what in dict.fromkeys(row.what for row in batches):
            series = [row for row in batches if row.what == what]
            sizes = [int(row.case.split()[0]) for row in series]
            colour = STEP_COLOURS[what.split()[0]]
            axes.plot(sizes, [row.each for row in series], color=colour, marker="o", label=what)
        axes.set(xscale="log", ylim=(0, 4_000))
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_xlabel(heading)
        axes.set_ylabel("gas each")
        axes.set_xticks(sizes, [number(size) for size in sizes])
        axes.minorticks_off()
        axes.legend(frameon=False, loc="lower left")
    figure.suptitle("What is pending or registered makes calls no dearer", x=0.02, ha="left")
    return figure


def _label(
    axes: Axes, x: float, y: float, text: str, colour: str, vertical: str = "bottom"
) -> None:
    axes.text(x, y, text, color=colour, va=vertical)
