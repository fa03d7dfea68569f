"""What things of ours are called: in words for people, with units for programs."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from energy_chain import events as ev
from energy_chain.events import Event
from energy_chain.units import count, kwh


def jsonable(value: Any) -> Any:
    """A dataclass of ours as JSON has it: energies say that they are Wh, numbers that they are."""
    if is_dataclass(value):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {_json_name(name, item): jsonable(item) for name, item in items}
    return [jsonable(item) for item in value] if isinstance(value, list | tuple) else value


def _json_name(name: str, value: Any) -> str:
    if name in _PARTIES and isinstance(value, int):
        return f"{name}_number"
    return f"{name}_wh" if name in _ENERGIES else name


_PARTIES = {"meter", "producer", "consumer"}
"""Addresses or, in packed orders and matches, meter numbers."""
_ENERGIES = {"energy", "energies", "next_energy", "offers", "needs", "unconsumed"}


def described(event: Event) -> str:
    """One event in words."""
    match event:
        case ev.RequestPosted(meter=meter, counter=counter, energy=energy):
            return f"Request {counter:,}: {meter} offers {kwh(energy)}."
        case ev.ReleasePosted(meter=meter, counter=counter, energy=energy):
            return f"Release {counter:,}: {meter} needs {kwh(energy)}."
        case ev.RequestsPosted(first=first, orders=orders):
            energy = sum(order.energy for order in orders)
            return f"{count(len(orders), 'request')} from request {first:,} on: {kwh(energy)}."
        case ev.ReleasesPosted(first=first, orders=needs):
            energy = sum(order.energy for order in needs)
            return f"{count(len(needs), 'release')} from release {first:,} on: {kwh(energy)}."
        case ev.SignedRequestsPosted(first=first, orders=orders):
            energy = sum(order.energy for order in orders)
            signed = count(len(orders), "signed request")
            return f"{signed} from request {first:,} on: {kwh(energy)}."
        case ev.SignedReleasesPosted(first=first, orders=needs):
            energy = sum(order.energy for order in needs)
            signed = count(len(needs), "signed release")
            return f"{signed} from release {first:,} on: {kwh(energy)}."
        case ev.SignedOrderSkipped(r=r, reason=reason):
            return f"A signed order was skipped ({reason}); the r of its signature is {r:#x}."
        case ev.PeriodOpened(period=period, expired_requests=requests, expired_releases=releases):
            expired = f"{count(requests, 'request')} and {count(releases, 'release')} expired"
            return f"Period {period:,} began; {expired}."
        case ev.Matched(first=first, fills=fills):
            energy = sum(fill.energy for fill in fills)
            return f"{count(len(fills), 'match')} from match {first:,} on: {kwh(energy)}."
        case ev.PairMatched(index=index, fill=fill):
            return f"Match {index:,}: {kwh(fill.energy)} matched."
        case ev.DeliveryConfirmed(index=index, energy=energy):
            return f"Match {index:,}: {kwh(energy)} consumed."
        case ev.DeliveriesConfirmed(first=first, energies=energies):
            return f"{kwh(sum(energies))} consumed of the matches from match {first:,} on."
        case ev.MatchesConfirmed(first=first, count=number):
            return f"All consumed of {count(number, 'match')} from match {first:,} on."
        case ev.MeterRegistered(meter=meter, number=number):
            return f"Meter {number}: {meter} registered."
        case ev.MeterRetired(meter=meter, number=number):
            return f"Meter {number}: {meter} retired."
        case ev.OwnershipTransferStarted(new_owner=new_owner):
            return f"The ownership is offered to {new_owner}."
        case ev.OwnershipTransferred(new_owner=new_owner):
            return f"{new_owner} is the owner."
        case ev.AggregatorChanged(new_aggregator=new_aggregator):
            return f"{new_aggregator} is the aggregator."
        case ev.MeteringOperatorChanged(new_operator=new_operator):
            return f"{new_operator} is the metering operator."
        case ev.Paused():
            return "Posting and matching are paused."
        case ev.Unpaused():
            return "Posting and matching go on."
