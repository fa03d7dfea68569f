"""`energy-chain producer` and `energy-chain consumer`: what a home's meter does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import daemon
from energy_chain.cli.printing import count, output, print_json, print_receipt, print_waiting
from energy_chain.cli.readings import chosen_readings, file_options
from energy_chain.cli.session import Session
from energy_chain.errors import InvalidInput
from energy_chain.events import DeliveryConfirmed
from energy_chain.units import kwh, parse_energy

if TYPE_CHECKING:
    from energy_chain.events import Receipt
    from energy_chain.ledger import Ledger
    from energy_chain.meters import FileOptions, Readings
    from energy_chain.schedule import PeriodEnergy, PostingReport

EnergyArgument = Annotated[
    str, typer.Argument(help="How much, with its unit: 1.5kWh or 1500Wh.", metavar="ENERGY")
]
HomeOption = Annotated[
    str | None,
    typer.Option(
        help="The home whose readings are posted, as the file calls it; by default the first one "
        "that has something to post."
    ),
]
StartOption = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%dT%H:%M"],
        metavar="YYYY-MM-DDTHH:MM",
        help="The first reading to post; by default a file's first, or noon of what is made up.",
    ),
]
NOON = time(12)

producer = typer.Typer(no_args_is_help=True, help="Act for a producer: offer surplus.")
consumer = typer.Typer(no_args_is_help=True, help="Act for a consumer: ask for energy, draw it.")


@options.gives(file=file_options)
def home_readings(
    data: options.DataOption = None,
    start: StartOption = None,
    days: options.DaysOption = 1,
    seed: options.SeedOption = None,
    *,
    file: FileOptions,
) -> Readings:
    """The readings from `start` on that the options of the same names describe."""
    first = start.date() if start else None
    readings = chosen_readings(data, first, days, None, seed, file)
    zone = readings.starts[0].tzinfo
    if start is None and not data:
        start = datetime.combine(readings.starts[0], NOON)
    return readings if start is None else readings.since(start.replace(tzinfo=zone))


@producer.command("put")
@options.gives(session=options.signing)
def put_request(
    energy: EnergyArgument,
    meter: options.MeterOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Offer surplus in the current period: post a request.

    Examples:

        energy-chain producer put 1.5kWh --account dev3 --network ganache

        energy-chain producer put 800Wh --meter dev3 --account operator --network pilot
    """
    from energy_chain.producer_node import ProducerNode

    amount = parse_energy(energy)
    ledger = session.market()
    print_receipt(
        ProducerNode(ledger).put_energy_request(session.meter(meter, ledger), amount), as_json
    )


@producer.command("run")
@daemon()
@options.gives(readings=home_readings, session=options.signing)
def run_producer(
    readings: Readings,
    home: HomeOption = None,
    meter: options.MeterOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Offer a home's surpluses, one reading in each period from now on, until Ctrl-C.

    Readings of the past are posted as if they were measured now. With --json, a
    line for each transaction. What the market or the node is in the way of is
    tried again while the period lasts.

    Examples:

        energy-chain producer run --account dev3 --network ganache

        energy-chain producer run --data homes.csv --home home-01 --account roof
    """
    from energy_chain.producer_node import ProducerNode

    home = home or _first(readings, sign=1)
    ledger = session.market()
    address = session.meter(meter, ledger)
    surpluses = _energies(readings, home, ledger, sign=1)
    with session.until_stopped() as stop:
        _announce(home, address, as_json)
        result = ProducerNode(ledger).run(
            address, surpluses, stop, report=_reporter(as_json, ledger), trouble=print_waiting
        )
    _print_posting(result, "request", as_json)


@consumer.command("put")
@options.gives(session=options.signing)
def put_release(
    energy: EnergyArgument,
    meter: options.MeterOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Ask for energy in the current period: post a release.

    Examples:

        energy-chain consumer put 1.2kWh --account dev4 --network ganache

        energy-chain consumer put 800Wh --meter dev4 --account operator --network pilot
    """
    from energy_chain.consumer_node import ConsumerNode

    amount = parse_energy(energy)
    ledger = session.market()
    print_receipt(
        ConsumerNode(ledger).put_energy_release(session.meter(meter, ledger), amount), as_json
    )


@consumer.command()
@options.gives(session=options.naming)
def target(
    meter: options.MeterOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Look up which producer the energy comes from. Needs no passphrase.

    That is the producer of the latest match, and how much of it is not consumed yet.

    Examples:

        energy-chain consumer target --account dev4 --network ganache

        energy-chain consumer target --account bakery --network pilot --json
    """
    ledger = session.reader()
    address = session.accounts.address(meter or session.signer())
    latest = ledger.latest_match(address)
    if as_json:
        producer_address, energy = latest or (None, 0)
        print_json({"consumer": address, "producer": producer_address, "energy_wh": energy})
    elif latest is None:
        output().print(f"{address} has no match yet.")
    else:
        output().print(f"{address} draws from {latest[0]}; {kwh(latest[1])} not consumed yet.")


@consumer.command()
@options.gives(session=options.signing)
def consume(
    energy: Annotated[
        str | None,
        typer.Argument(
            help="How much of the latest match, with its unit; by default all of every match.",
            metavar="[ENERGY]",
        ),
    ] = None,
    meter: options.MeterOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Draw what was matched, and confirm it. With --json, a line for each transaction.

    Examples:

        energy-chain consumer consume --account dev4 --network ganache

        energy-chain consumer consume 0.5kWh --account bakery --network pilot
    """
    from energy_chain.consumer_node import ConsumerNode

    amount = None if energy is None else parse_energy(energy)
    ledger = session.market()
    address = session.meter(meter, ledger)
    if amount is None:
        receipts = ConsumerNode(ledger).draw(address)
    else:
        receipts = [ledger.consume(address, amount)]
    for receipt in receipts:
        print_receipt(receipt, as_json, line=True)
    if not receipts and not as_json:
        output().print(f"Nothing is matched for {address} that it has not consumed.")


@consumer.command("run")
@daemon()
@options.gives(readings=home_readings, session=options.signing)
def run_consumer(
    readings: Readings,
    home: HomeOption = None,
    meter: options.MeterOption = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Ask for a home's needs, one reading in each period from now on, and draw, until Ctrl-C.

    Readings of the past are posted as if they were measured now. With --json, a
    line for each transaction. What the market or the node is in the way of is
    tried again while the period lasts.

    Examples:

        energy-chain consumer run --account dev4 --network ganache

        energy-chain consumer run --data homes.csv --home home-02 --account bakery
    """
    from energy_chain.consumer_node import ConsumerNode

    home = home or _first(readings, sign=-1)
    ledger = session.market()
    address = session.meter(meter, ledger)
    needs = _energies(readings, home, ledger, sign=-1)
    with session.until_stopped() as stop:
        _announce(home, address, as_json)
        result = ConsumerNode(ledger).run(
            address, needs, stop, report=_reporter(as_json, ledger), trouble=print_waiting
        )
    _print_posting(result, "release", as_json)


def _energies(readings: Readings, home: str, ledger: Ledger, sign: int) -> list[PeriodEnergy]:
    """What a home posts from the market's period of now on: surpluses (1) or needs (-1)."""
    from energy_chain.replay import energies_of

    if not ledger.period_length():
        raise InvalidInput(
            "orders of this market never expire, so it has no periods to post in: use put"
        )
    energies = energies_of(readings, home, ledger.current_period())
    return [due._replace(energy=max(0, sign * due.energy)) for due in energies]


def _first(readings: Readings, sign: int) -> str:
    for reading in readings.rows():
        if sign * (reading.production - reading.consumption) > 0:
            return reading.meter
    raise InvalidInput("no home has anything to post in these readings: choose another --start")


def _announce(home: str, address: str, as_json: bool) -> None:
    if not as_json:
        output().print(f"Readings of {home}, one in each period, for {address}; Ctrl-C ends it.")


def _reporter(as_json: bool, ledger: Ledger) -> Callable[[Receipt], None]:
    def report(receipt: Receipt) -> None:
        print_receipt(receipt, as_json, line=True)
        for event in () if as_json else receipt.events:
            if isinstance(event, DeliveryConfirmed) and (match := ledger.match_at(event.index)):
                output().print(f"  drawn from {match.producer}")

    return report


def _print_posting(result: PostingReport, what: str, as_json: bool) -> None:
    if as_json:
        told = {"posted": result.posted, "late": result.late}
        print_json(told | ({"unknown": result.unknown} if result.unknown else {}), line=True)
    else:
        late = f"; {result.late} came too late for their period" if result.late else ""
        unknown = f"; what became of {result.unknown} is not known" if result.unknown else ""
        output().print(f"{count(result.posted, what)} posted{late}{unknown}.")
