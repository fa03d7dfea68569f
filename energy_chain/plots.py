"""Pictures of what the package tells, as SVG or PNG. Needs no display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from energy_chain.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from energy_chain.simulation import BySize

FORMATS = (".svg", ".png")


def check_picture(path: Path) -> Path:
    """Returns the path of a picture that can be drawn.

    Raises:
        InvalidInput: its name ends in neither .svg nor .png.
    """
    if path.suffix not in FORMATS:
        raise InvalidInput(f"{path} is no picture that can be drawn: end it in .svg or .png")
    return path


def save(figure: Figure, path: Path) -> None:
    """Writes a figure into a file; the same figure gives the same file.

    Raises:
        InvalidInput: it cannot be written.
    """
    import matplotlib

    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "energy-chain", "svg.fonttype": "none"}):
        try:
            figure.savefig(path, metadata=metadata, dpi=150)
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be written ({error.strerror}): give another file"
            ) from error


def draw_simulation(sizes: Sequence[BySize]) -> Figure:
    """Local share, energy that the grid takes and gives, and gas, by the size of a community."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    shares, grid, gas = figure.subplots(1, 3)
    homes = [size.homes for size in sizes]
    told = [size for size in sizes if size.local_shares]
    known = [size.homes for size in told]
    low, high = ([size.local_shares[end] * 100 for size in told] for end in (0, -1))
    middle = [median(size.local_shares) * 100 for size in told]
    # A line at each size: a band would need two of them, and tell of sizes that nobody tried.
    if low != high:
        shares.vlines(known, low, high, linewidth=7, alpha=0.25, label="least to most")
    shares.plot(known, middle, marker="o", label="median community")
    shares.set(title="Need met locally", ylabel="%")
    shares.legend(loc="lower right")

    def each_day(energy: str) -> list[float]:
        return [getattr(size.trade, energy) / 1000 / size.home_days for size in sizes]

    grid.plot(homes, each_day("from_grid"), marker="o", label="taken from the grid")
    grid.plot(homes, each_day("to_grid"), marker="s", label="left to the grid")
    grid.set(title="Not matched", ylabel="kWh a home and day")
    grid.legend()
    per_kwh = [size.trade.gas_per_matched_kwh or float("nan") for size in sizes]
    gas.plot(homes, [each / 1000 for each in per_kwh], marker="o")
    gas.set(title="Gas for each kWh matched", ylabel="thousand gas")
    for axes in (shares, grid, gas):
        _by_homes(axes, homes)
        _from_zero(axes)
    return figure


def _by_homes(axes: Any, homes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(homes, [f"{number:,}" for number in homes])
    axes.minorticks_off()
    axes.set_xlabel("homes of a community")
    axes.grid(alpha=0.3)


def _from_zero(axes: Any) -> None:
    """Lets an axis begin at zero and end above the highest point, which else touches the frame."""
    highest = axes.dataLim.y1
    axes.set_ylim(0, 1.1 * highest if highest > 0 else 1)
