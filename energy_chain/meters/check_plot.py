"""Two neighbourhoods drawn side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from energy_chain.meters.check import Days, whole_days
from energy_chain.meters.readings import Readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00")
_SUN = "#e69f00"
_WEEK = 7
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}


def draw_check(a: Readings, b: Readings, names: tuple[str, str]) -> Figure:
    """Draw two neighbourhoods side by side.

    From the top: the mean day of a home with the middle 80 % of the homes; every
    home's load from its highest to its lowest, and a histogram of what homes use in
    a day; and seven days of the neighbourhood, from the middle of the time.

    Args:
        a, b: the neighbourhoods, looked at by the longer of their periods.
        names: what to call them.

    Raises:
        InvalidInput: a side has no whole day, or their periods do not go together.
    """
    import matplotlib
    from matplotlib.figure import Figure

    period = max(a.period, b.period)
    sides = [whole_days(readings, period) for readings in (a, b)]
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(10, 10.5), layout="constrained")
        grid = figure.subplots(3, 2)
        for axes, days, name, colour in zip(grid[0], sides, names, _COLOURS, strict=True):
            _mean_day(axes, days, name, colour)
        _duration(grid[1][0], sides, names)
        _histogram(grid[1][1], sides, names)
        for axes, days, name, colour in zip(grid[2], sides, names, _COLOURS, strict=True):
            _week(axes, days, name, colour)
        for row in (grid[0], grid[2]):
            top = max(axes.get_ylim()[1] for axes in row)
            for axes in row:
                axes.set_ylim(0, 1.15 * top)  # room for the legend
    return figure


def _mean_day(axes: Axes, days: Days, name: str, colour: str) -> None:
    """By the hour, each home's load and production in kW."""
    an_hour = days.hours[1] if len(days.hours) > 1 else 1.0
    hours = np.append(days.hours, 24.0)
    for energy, shade, what in ((days.load, colour, "use"), (days.solar, _SUN, "solar")):
        homes = energy.mean(axis=0) / an_hour
        homes = homes[:, homes.sum(axis=0) > 0]
        if not homes.size:
            continue
        low, middle, high = (
            np.append(line, line[-1]) for line in np.percentile(homes, (10, 50, 90), axis=1)
        )
        axes.fill_between(hours, low, high, step="post", color=shade, alpha=0.25, linewidth=0)
        axes.step(hours, middle, where="post", color=shade, label=f"{what}, median home")
    axes.set(xlim=(0, 24), xticks=range(0, 25, 4), xlabel="hour of the day", ylabel="kW")
    axes.set_title(f"Mean day: {name}", loc="left")
    axes.legend(frameon=False, loc="upper left")


def _duration(axes: Axes, sides: list[Days], names: tuple[str, str]) -> None:
    """Each home's load over its mean, from the highest period to the lowest."""
    share = np.linspace(0, 100, 401)
    for days, name, colour in zip(sides, names, _COLOURS, strict=True):
        load = days.load.reshape(-1, days.load.shape[2])
        load = load[:, load.sum(axis=0) > 0]
        curves = np.percentile(load / load.mean(axis=0), 100 - share, axis=0)
        for number, curve in enumerate(curves.T[:12]):
            axes.plot(
                share, curve, color=colour, alpha=0.6, linewidth=1, label=None if number else name
            )
    axes.set(xlim=(0, 100), yscale="log", ylim=(0.05, 15))
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.set(xlabel="% of the time", ylabel="load over its mean")
    axes.minorticks_off()
    axes.set_title("Load duration, home by home", loc="left")
    axes.legend(frameon=False)


def _histogram(axes: Axes, sides: list[Days], names: tuple[str, str]) -> None:
    """What homes use in a day."""
    energies = [days.load.sum(axis=1).ravel() for days in sides]
    bins = np.linspace(0, max(np.percentile(energy, 99.5) for energy in energies), 41).tolist()
    for energy, name, colour in zip(energies, names, _COLOURS, strict=True):
        weights = np.full(len(energy), 100 / len(energy))
        axes.hist(energy, bins, weights=weights, color=colour, alpha=0.25)
        axes.hist(energy, bins, weights=weights, color=colour, histtype="step", label=name)
    axes.set(xlabel="kWh of a home and day", ylabel="% of homes and days")
    axes.set_title("Energy of a day", loc="left")
    axes.legend(frameon=False)


def _week(axes: Axes, days: Days, name: str, colour: str) -> None:
    """All homes together, in kW, for seven days of the middle of the time."""
    begin = max(0, (len(days.dates) - _WEEK) // 2)
    an_hour = days.hours[1] if len(days.hours) > 1 else 1.0
    for energy, shade, what in ((days.load, colour, "use"), (days.solar, _SUN, "solar")):
        line = energy[begin : begin + _WEEK].sum(axis=2).ravel() / an_hour
        at = np.arange(len(line)) / energy.shape[1]
        axes.plot(at, line, color=shade, linewidth=1.2, label=what)
    axes.set(xlim=(0, _WEEK), xlabel=f"days from {days.dates[begin]} on", ylabel="kW")
    axes.set_title(f"All homes: {name}", loc="left")
    axes.legend(frameon=False, loc="upper left", ncols=2)
