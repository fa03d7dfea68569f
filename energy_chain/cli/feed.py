"""`energy-chain operator feed`: readings as meters send them become orders."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import daemon
from energy_chain.cli.operator import check_distinct, read_map
from energy_chain.cli.printing import count, output, print_json, table
from energy_chain.cli.session import OPERATOR, Session
from energy_chain.errors import InvalidInput
from energy_chain.units import kwh, parse_duration

if TYPE_CHECKING:
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.feeding import Told


SHOWN = 10
"""Missing readings that are shown one by one."""

StoreOption = Annotated[
    Path | None,
    typer.Option(help="SQLite file of the readings; by default one a market in the data folder."),
]


def _now() -> datetime:
    return datetime.now(UTC)


@daemon()
@options.gives(session=options.signing)
def feed(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="mqtt://[USER@]HOST[:PORT]/TOPIC, where meters publish under TOPIC/METER; "
            "mqtts:// with TLS. The password is ENERGY_CHAIN_MQTT_PASSWORD.",
        ),
    ],
    map: Annotated[
        Path,
        typer.Option(
            "--map",
            metavar="FILE",
            help="CSV file with the header meter,account: which meter belongs to which account, by "
            "name or address.",
        ),
    ],
    deadline: Annotated[
        str, typer.Option(help="How long after its period's end a reading is in time.")
    ] = "5min",
    keep: Annotated[
        int, typer.Option(min=1, help="Days for which late and corrected readings are taken.")
    ] = 35,
    period: Annotated[
        str,
        typer.Option(help="Length of the periods of a market whose orders never expire."),
    ] = "15min",
    store: StoreOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Post the orders of readings as they come over MQTT, and match them, until Ctrl-C.

    A message is a reading in JSON or a P1 telegram. When all meters have sent a
    period, or its deadline is over, its orders are posted in packed batches, in
    the delivery period of then. A reading that is late becomes an order when it
    comes, a corrected one an order of the difference; both are told as
    adjustments, and what is missing is told and never made up. Readings are on
    the disk before their orders are posted, and each is posted once, also after
    a restart. The metering operator signs; dev2 on a development network. With
    --json, a line for each thing that happens.

    Examples:

        energy-chain operator feed mqtt://127.0.0.1:1883/meters --map meters.csv --network ganache

        energy-chain operator feed mqtts://operator@broker.example/meters --map meters.csv --json
    """
    import asyncio

    from energy_chain.feeding import Poster, follow
    from energy_chain.meters.live.desk import DeskRule
    from energy_chain.meters.live.desk_store import Desk
    from energy_chain.meters.live.mqtt_feed import MqttAddress, MqttFeed
    from energy_chain.replay import register

    session.reader()  # nobody looks at files for a market that is not there
    address = MqttAddress.of_url(url, os.environ.get("ENERGY_CHAIN_MQTT_PASSWORD"))
    owners = read_map(map)
    if not owners:
        raise InvalidInput(f"{map} names no meter: add a line of each")
    accounts = {name: session.accounts.address(owner) for name, owner in owners.items()}
    check_distinct(accounts)
    ledger = session.market(OPERATOR)
    seconds = ledger.period_length() or parse_duration(period)
    rule = DeskRule(
        timedelta(seconds=seconds), timedelta(seconds=parse_duration(deadline)), timedelta(keep)
    )
    register(ledger, list(accounts.values()))
    numbers = {name: _number(ledger, account) for name, account in accounts.items()}
    place, identity = _place(ledger, store)
    desk = Desk.open(place, identity, rule, _now())
    try:
        with session.until_stopped() as stop:
            _print_start(str(address), list(accounts), desk.begin, place, as_json)
            asyncio.run(
                follow(
                    MqttFeed(
                        address,
                        accounts,
                        rule.period,
                        f"energy-chain-{ledger.address[2:14]}",
                        lambda: _now(),
                    ),
                    desk,
                    Poster(desk, ledger, numbers),
                    list(accounts),
                    stop,
                    lambda told: _print(told, as_json),
                    lambda: _now(),
                )
            )
    finally:
        desk.close()


@options.gives(session=options.reading)
def adjustments(
    store: StoreOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """List the late and corrected readings of a feed, and those that never came.

    Each with the net energy before and now, and the delivery period and energy
    of the order that it became. With --json, one document.

    Examples:

        energy-chain operator adjustments --network ganache

        energy-chain operator adjustments --store feed.sqlite --json
    """
    from energy_chain.meters.live.desk_store import Desk

    desk = Desk.existing(*_place(session.reader(), store))
    try:
        found = list(desk.all_adjustments())
        missing = desk.missing()
    finally:
        desk.close()
    if as_json:
        print_json(
            {
                "adjustments": [
                    {
                        "meter": each.meter,
                        "period_start": each.period_start.isoformat(),
                        "reason": each.reason.value,
                        "was_kwh": None if each.was is None else each.was / 1e9,
                        "is_kwh": each.is_ / 1e9,
                        "received_at": each.received_at.isoformat(timespec="seconds"),
                        "order_period": each.order_period,
                        "order_wh": each.order_energy,
                    }
                    for each in found
                ],
                "missing": [
                    {"meter": gap.meter, "period_start": gap.period_start.isoformat()}
                    for gap in missing
                ],
            }
        )
        return
    figures = ("net before", "net now", "order", "in period")
    listed = table("meter", "period of", "why", *figures, "came", right=figures)
    for each in found:
        listed.add_row(
            each.meter,
            f"{each.period_start:%Y-%m-%d %H:%M}",
            each.reason.value,
            "-" if each.was is None else f"{each.was / 1e9:,.3f} kWh",
            f"{each.is_ / 1e9:,.3f} kWh",
            kwh(each.order_energy),
            "waiting" if each.order_period is None else str(each.order_period),
            f"{each.received_at:%Y-%m-%d %H:%M}",
        )
    output().print(listed)
    output().print(f"{count(len(found), 'adjustment')}, {count(len(missing), 'reading')} missing.")
    for gap in missing[:SHOWN]:
        output().print(f"missing: {gap.meter}, period of {gap.period_start:%Y-%m-%d %H:%M} UTC")


def _place(ledger: ContractLedger, store: Path | None) -> tuple[Path, str]:
    """Where the desk of a market is, and what tells the market from every other."""
    from energy_chain.folders import home_folder

    domain = ledger.order_domain()
    place = store or home_folder() / "feed" / f"{domain.chain_id}-{domain.contract}.sqlite"
    return place, f"{domain.chain_id} {domain.contract} {ledger.genesis()}"


def _number(ledger: ContractLedger, account: str) -> int:
    meter = ledger.meter(account)
    assert meter is not None  # registered by `register`
    return meter.number


def _print_start(
    address: str, meters: list[str], begin: datetime, place: Path, as_json: bool
) -> None:
    if as_json:
        told = {
            "url": address,
            "meters": meters,
            "readings_from": begin.isoformat(),
            "store": str(place),
        }
        print_json({"feeding": told}, line=True)
    else:
        output().print(
            f"Readings of {count(len(meters), 'meter')} from {begin:%Y-%m-%d %H:%M} UTC on, from "
            f"{address}; Ctrl-C ends it."
        )


def _print(told: Told, as_json: bool) -> None:
    from energy_chain.feeding import Trouble
    from energy_chain.meters.live.desk import Verdict
    from energy_chain.meters.live.mqtt_feed import Connected, Lost, Refused

    at = {"time": _now().isoformat(timespec="seconds")}
    if as_json:
        print_json({**at, **_as_json(told)}, line=True)
    elif isinstance(told, Lost | Refused | Trouble):
        print(_in_words(told), file=sys.stderr)
    elif not isinstance(told, Connected) and getattr(told, "verdict", None) not in (
        Verdict.IN_TIME,
        Verdict.REPEATED,
    ):
        output().print(f"{_now():%H:%M:%S} UTC  {_in_words(told)}")


def _as_json(told: Told) -> dict[str, Any]:
    from energy_chain.aggregator_node import MatchingReport
    from energy_chain.feeding import Posted, Taken, Trouble
    from energy_chain.meters.live.desk import Missing
    from energy_chain.meters.live.mqtt_feed import Lost, Refused

    match told:
        case Taken(reading=reading, received_at=received_at, verdict=verdict):
            return {
                "reading": verdict.value,
                "meter": reading.meter,
                "period_start": reading.start.isoformat(),
                "received_at": received_at.isoformat(timespec="milliseconds"),
                "consumption_kwh": reading.consumption / 1e9,
                "production_kwh": reading.production / 1e9,
            }
        case Missing(meter=meter, period_start=start):
            return {"missing": {"meter": meter, "period_start": start.isoformat()}}
        case Posted(requests=requests, releases=releases, receipt=receipt) as posted:
            return {
                "posted": {
                    "requests": requests,
                    "releases": releases,
                    "offered_wh": posted.offered,
                    "needed_wh": posted.needed,
                    "matches": len(receipt.fills),
                    "matched_wh": sum(fill.energy for fill in receipt.fills),
                    "gas": receipt.gas_used,
                    "block": receipt.block,
                    "transaction": receipt.transaction,
                }
            }
        case MatchingReport(matches=matches, energy=energy, gas_used=gas):
            return {"matched": {"matches": matches, "energy_wh": energy, "gas": gas}}
        case Refused(number=number, topic=topic, reason=reason):
            return {"refused": {"message": number, "topic": topic, "reason": reason}}
        case Lost(reason=reason, seconds=seconds):
            return {"waiting": {"for": "broker", "reason": reason, "seconds": seconds}}
        case Trouble(reason=reason):
            return {"waiting": {"for": "chain", "reason": reason}}
    return {"connected": True}


def _in_words(told: Told) -> str:
    from energy_chain.aggregator_node import MatchingReport
    from energy_chain.feeding import Posted, Taken, Trouble
    from energy_chain.meters.live.desk import TOLD, Missing
    from energy_chain.meters.live.mqtt_feed import Lost, Refused

    match told:
        case Taken(reading=reading, verdict=verdict):
            what = "adjustment" if verdict in TOLD else "left out"
            return f"{what}, {verdict}: {reading.meter}, period of {reading.start.isoformat()}"
        case Missing(meter=meter, period_start=start):
            return f"missing: {meter}, period of {start.isoformat()}"
        case Posted(requests=requests, releases=releases, receipt=receipt) as posted:
            matched = sum(fill.energy for fill in receipt.fills)
            return (
                f"{count(requests, 'request')} of {kwh(posted.offered)} and "
                f"{count(releases, 'release')} of {kwh(posted.needed)} posted, {kwh(matched)} "
                f"matched, {receipt.gas_used:,} gas, block {receipt.block:,}"
            )
        case MatchingReport(matches=matches, energy=energy, gas_used=gas):
            return f"{count(matches, 'match')}, {kwh(energy)}, {gas:,} gas"
        case Refused(number=number, topic=topic, reason=reason):
            return f"message {number} of {topic!r} is refused: {reason}"
        case Lost(reason=reason, seconds=seconds):
            return f"waiting: no broker ({reason}); tried again in {seconds:g} s"
        case Trouble(reason=reason):
            return f"waiting: {reason}"
    return "connected"
