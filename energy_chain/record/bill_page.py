"""A bill as a page to read and print: one HTML file that loads nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from energy_chain.record.bill import Bill
from energy_chain.units import kwh


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour, and Wh that were sold to it and bought from it."""

    number: int
    address: str
    sold: int
    bought: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the month, and Wh that were sold and bought in it."""

    label: str
    sold: int
    bought: int


def render(bill: Bill) -> str:
    """The page of a bill."""
    environment = Environment(
        loader=PackageLoader("energy_chain.record", "pages"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kwh": kwh, "moment": _moment, "unsigned": _unsigned}
    days = _days(bill)
    return environment.get_template("bill.html").render(
        bill=bill,
        title=datetime.strptime(bill.month.name, "%Y-%m").strftime("%B %Y"),
        evidence=_evidence(len(bill.matches)),
        neighbours=_neighbours(bill),
        days=days,
        most=max((max(day.sold, day.bought) for day in days), default=0),
    )


def _evidence(matches: int) -> str:
    if not matches:
        return "The proof is"
    return f"Its {'match' if matches == 1 else f'{matches:,} matches'} and the proof are"


def _moment(iso: str) -> str:
    time = datetime.fromisoformat(iso)
    return f"{time.day} {time:%B %Y, %H:%M}"


def _unsigned(amount: str) -> str:
    return amount.removeprefix("-")


def _neighbours(bill: Bill) -> list[Neighbour]:
    me = bill.meter.number
    sold: dict[tuple[int, str], int] = defaultdict(int)
    bought: dict[tuple[int, str], int] = defaultdict(int)
    for match in bill.matches:
        if match.producer == match.consumer:
            continue
        if match.producer == me:
            sold[match.consumer, match.consumer_address] += match.energy_wh
        else:
            bought[match.producer, match.producer_address] += match.energy_wh
    return [
        Neighbour(*neighbour, sold[neighbour], bought[neighbour])
        for neighbour in sorted(sold.keys() | bought.keys())
    ]


def _days(bill: Bill) -> list[Day]:
    me, zone = bill.meter.number, ZoneInfo(bill.month.timezone)
    sold: dict[str, int] = defaultdict(int)
    bought: dict[str, int] = defaultdict(int)
    for match in bill.matches:
        if match.producer == match.consumer:
            continue
        day = datetime.fromisoformat(match.begins).astimezone(zone).date().isoformat()
        (sold if match.producer == me else bought)[day] += match.energy_wh
    first = datetime.fromisoformat(bill.month.begins).date()
    end = datetime.fromisoformat(bill.month.ends).date()
    dates = (first + timedelta(days=n) for n in range((end - first).days))
    return [Day(f"{d.day}", sold[d.isoformat()], bought[d.isoformat()]) for d in dates]
