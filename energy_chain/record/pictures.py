"""The main pictures of a market, drawn from its record without a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from energy_chain.errors import InvalidInput
from energy_chain.record import ranges
from energy_chain.record.identity import MarketRow
from energy_chain.record.ranges import Bucket, Sum
from energy_chain.record.store import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PRODUCED, NEEDED, MATCHED, GREY = "#e69f00", "#0072b2", "#009e73", "#777777"
_MOST_HOMES = 40
_MOST_PERIODS = 300
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}
_A_FEW_DAYS = 4 * 24 * 3600


class Pictures:
    """A range of a market, added up, to be drawn."""

    def __init__(
        self,
        record: Record,
        market: MarketRow,
        begin: datetime | None = None,
        end: datetime | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        """Adds it up.

        Args:
            record: the record.
            market: the market in it.
            begin: of the range; the begin of the record when None.
            end: of the range, itself not included; the end of the record when None.
            zone: whose days and hours are meant.

        Raises:
            InvalidInput: nothing was traded in the range.
        """
        began = record.began(market)
        first, last = ranges.rounded(market, began or 0, market.cursor_time + 1)
        if begin is not None:
            first = max(first, int(begin.timestamp()))
        if end is not None:
            last = min(last, int(end.timestamp()))
        first, last = ranges.rounded(market, first, max(first, last))
        self._zone = zone
        self._as_of = f"{market.address}, as of block {market.cursor_block:,}"
        with record.reading() as connection:
            self.buckets: Sequence[Bucket]
            if market.period_length and last - first <= _MOST_PERIODS * market.period_length:
                self.buckets = ranges.periods(connection, market, first, last)
            else:
                of = ranges.hours if last - first <= _A_FEW_DAYS else ranges.days
                self.buckets = of(connection, market, first, last, zone)
            self.homes = ranges.by_meter(connection, market, first, last)
            self.total = ranges.total(connection, market, first, last)
        if self.total == Sum() or not self.homes:
            raise InvalidInput(
                f"nothing of {market.address} is in the record between these times: "
                "energy-chain record show says from when to when it runs"
            )

    def draw(self) -> dict[str, Figure]:
        """A figure of each picture, by its name."""
        import matplotlib

        with matplotlib.rc_context(_SETTINGS):
            return {"usage": self._usage(), "shares": self._shares(), "homes": self._homes()}

    def _usage(self) -> Figure:
        figure, axes = _figure(9, 4)
        begins = [_days(bucket.begin) for bucket in self.buckets]
        widths = [_days(bucket.end) - _days(bucket.begin) for bucket in self.buckets]

        def bars(name: str, sign: int, colour: str, label: str | None) -> None:
            kwh = [sign * getattr(bucket.sum, name) / 1000 for bucket in self.buckets]
            axes.bar(begins, kwh, width=widths, align="edge", color=colour, label=label)

        bars("offered", 1, PRODUCED, "offered, not matched")
        bars("needed", -1, NEEDED, "needed, not matched")
        bars("sold", 1, MATCHED, "matched")
        bars("bought", -1, MATCHED, None)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_ylabel("kWh offered (above) and needed (below)")
        self._by_time(axes)
        self._finish(axes, "Offered, needed, matched", 3)
        return figure

    def _shares(self) -> Figure:
        figure, axes = _figure(9, 4)
        middles = [_days((bucket.begin + bucket.end) / 2) for bucket in self.buckets]
        for name, part, colour in (
            ("self-sufficiency: matched of needed", "needed", NEEDED),
            ("self-consumption: matched of offered", "offered", PRODUCED),
        ):
            shares = [
                100 * bucket.sum.sold / wh if (wh := getattr(bucket.sum, part)) else float("nan")
                for bucket in self.buckets
            ]
            axes.plot(middles, shares, marker="o", markersize=3, color=colour, label=name)
        axes.set(ylabel="%", ylim=(0, 105))
        self._by_time(axes)
        self._finish(axes, "What stayed among neighbours", 2)
        return figure

    def _homes(self) -> Figure:
        of = sorted(self.homes.items(), key=lambda item: -(item[1].offered + item[1].needed))
        shown = sorted(of[:_MOST_HOMES])
        figure, axes = _figure(9, max(3.0, 0.8 + 0.26 * len(shown)))
        places = range(len(shown))
        for sign, did, matched, colour, name in (
            (1, "offered", "sold", PRODUCED, "offered, not matched"),
            (-1, "needed", "bought", NEEDED, "needed, not matched"),
        ):
            whole = [sign * getattr(each, did) / 1000 for _, each in shown]
            part = [sign * getattr(each, matched) / 1000 for _, each in shown]
            axes.barh(places, whole, color=colour, label=name)
            axes.barh(places, part, color=MATCHED, label="matched" if sign > 0 else None)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(list(places), [f"home {number}" for number, _ in shown])
        axes.invert_yaxis()
        some = f": the {len(shown)} busiest of {len(of)}" if len(of) > len(shown) else ""
        axes.set_xlabel("kWh needed (left) and offered (right)")
        _without_signs(axes.xaxis)
        self._finish(axes, f"Each home{some}", 3)
        return figure

    def _by_time(self, axes: Axes) -> None:
        from matplotlib import dates

        of: Any = dates  # has no types
        locator = of.AutoDateLocator(tz=self._zone)
        axes.set_xlim(_days(self.buckets[0].begin), _days(self.buckets[-1].end))
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(of.ConciseDateFormatter(locator, tz=self._zone))
        _without_signs(axes.yaxis)

    def _finish(self, axes: Axes, title: str, columns: int) -> None:
        axes.set_title(title, loc="left")
        axes.set_title(self._as_of, loc="right", size=7, color=GREY)
        axes.figure.legend(loc="outside lower center", ncols=columns, frameon=False)


def _days(moment: float) -> float:
    """A Unix time as Matplotlib counts: in days."""
    return moment / 86_400


def _without_signs(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
