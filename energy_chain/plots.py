"""Pictures of what the package tells, as SVG or PNG. Needs no display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
    middle = [size.local_shares[len(size.local_shares) // 2] * 100 for size in sizes]
    low = [size.local_shares[0] * 100 for size in sizes]
    high = [size.local_shares[-1] * 100 for size in sizes]
    shares.fill_between(homes, low, high, alpha=0.25, label="least to most")
    shares.plot(homes, middle, marker="o", label="median community")
    shares.set(title="Need met locally", ylabel="%", ylim=(0, None))
    shares.legend()

    def each_day(energy: str) -> list[float]:
        return [getattr(size.trade, energy) / 1000 / size.home_days for size in sizes]

    grid.plot(homes, each_day("from_grid"), marker="o", label="taken from the grid")
    grid.plot(homes, each_day("to_grid"), marker="s", label="left to the grid")
    grid.set(title="Not matched", ylabel="kWh a home and day", ylim=(0, None))
    grid.legend()
    per_kwh = [size.trade.gas_per_matched_kwh or float("nan") for size in sizes]
    gas.plot(homes, [each / 1000 for each in per_kwh], marker="o")
    gas.set(title="Gas for each kWh matched", ylabel="thousand gas", ylim=(0, None))
    for axes in (shares, grid, gas):
        _by_homes(axes, homes)
    return figure


def _by_homes(axes: Any, homes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(homes, [f"{number:,}" for number in homes])
    axes.minorticks_off()
    axes.set_xlabel("homes of a community")
    axes.grid(alpha=0.3)
