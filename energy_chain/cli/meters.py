"""`energy-chain meters`: what a meter does without a chain: it signs its orders."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.homes import EnergyArgument
from energy_chain.cli.printing import output, print_json, table
from energy_chain.cli.session import Session
from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_PERIOD_LENGTH, MIN_PERIOD_LENGTH, check_energy
from energy_chain.units import kwh, parse_duration, parse_energy

if TYPE_CHECKING:
    from energy_chain.market import Address
    from energy_chain.signing import OrderDocument, OrderTerms

LONGEST_TIME = 32
"""Characters of a time; longer is none."""

meters = typer.Typer(no_args_is_help=True, help="Sign orders as a meter, for others to post.")


class OrderKind(StrEnum):
    """Which side of the market an order is of."""

    REQUEST = "request"
    RELEASE = "release"


def delivery(
    period: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, help="Number of the delivery period; by default that of now."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="A time in the delivery period, with its offset, in place of the number: "
            "2026-11-22T10:00+00:00 or Unix seconds.",
        ),
    ] = None,
    period_length: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="Length of the market's delivery periods, such as 15min or 900 for seconds; "
            "never where orders do not expire, which takes orders signed for 15min.",
        ),
    ] = "15min",
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The last block time at which the order may be posted; by default the end of its "
            "period.",
        ),
    ] = None,
) -> Delivery:
    """When an order is for, of the options of the same names."""
    return Delivery(period, at, period_length, deadline)


class Delivery:
    """When an order is for: a delivery period and a deadline, as they were asked for."""

    def __init__(
        self, period: int | None, at: str | None, period_length: str, deadline: str | None
    ) -> None:
        """The options of the same names.

        Raises:
            InvalidInput: a time or the length is none, or the period is given twice.
        """
        from energy_chain.signing import signing_length

        if period is not None and at is not None:
            raise InvalidInput("--period and --at are two periods: give one of them")
        # The contract's own `period_length` is in seconds, so that such a number is no mistake.
        seconds = f"{period_length}s" if period_length.isdecimal() else period_length
        length = signing_length(parse_duration(seconds))
        if not MIN_PERIOD_LENGTH <= length <= MAX_PERIOD_LENGTH:
            raise InvalidInput(
                f"--period-length {period_length} is that of no market: give "
                f"{MIN_PERIOD_LENGTH}s to {MAX_PERIOD_LENGTH}s, or never"
            )
        self.length = length
        self._period = parse_time(at, "--at") // length if at is not None else period
        self._deadline = None if deadline is None else parse_time(deadline, "--deadline")

    def at_time(self, now: int) -> tuple[int, int]:
        """The number of the period, and the deadline in Unix time.

        Args:
            now: Unix time, which the period is of when none was given.

        Raises:
            InvalidInput: the deadline is not in the period.
        """
        period = now // self.length if self._period is None else self._period
        begin, end = period * self.length, (period + 1) * self.length
        deadline = end if self._deadline is None else self._deadline
        if not begin <= deadline <= end:
            raise InvalidInput(
                f"deadline {deadline} is not in period {period}: give {begin} to {end}, "
                f"{shown_time(begin)} to {shown_time(end)}, or another period"
            )
        return period, deadline


def parse_time(text: str, option: str) -> int:
    """Unix seconds of a time in ISO 8601 with its offset, or of Unix seconds themselves.

    Raises:
        InvalidInput: it is neither.
    """
    if text.isascii() and text.isdigit() and len(text) <= LONGEST_TIME:
        return int(text)
    found: datetime | None = None
    with suppress(ValueError):  # what is no time is refused below
        found = datetime.fromisoformat(text)
    # A time before 1970 is in no period, and one of half a second in no block.
    if found is None or found.tzinfo is None or found.timestamp() < 0 or found.microsecond:
        raise InvalidInput(
            f"{option} {text[:LONGEST_TIME]!r} is no time: give whole seconds with an offset, such "
            "as 2026-11-22T10:00+00:00, or Unix seconds"
        )
    return int(found.timestamp())


def shown_time(seconds: int) -> str:
    """A Unix time for people, in UTC; the number alone where no calendar has it."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"Unix time {seconds}"


def _now() -> int:
    return int(time.time())


@meters.command()
@options.gives(when=delivery, session=options.signing)
def sign(
    kind: Annotated[
        OrderKind, typer.Argument(help="request for surplus on offer, release for energy needed.")
    ],
    energy: EnergyArgument,
    *,
    when: Delivery,
    chain_id: Annotated[
        int | None,
        typer.Option(min=1, help="Id of the chain; by default that of the network."),
    ] = None,
    typed_data: Annotated[
        bool,
        typer.Option(
            "--typed-data",
            help="Print the message to sign (EIP-712) for a wallet or another signer; no account "
            "is needed.",
        ),
    ] = False,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Sign an order with a meter's key, for somebody else to post. Asks no node.

    The order is good for one delivery period of one market on one chain. Contract
    and chain id are those of the network: of its settings, or of the market that
    was last deployed there from this machine. --json prints what a relay takes.

    Examples:

        energy-chain meters sign request 1.5kWh --account dev3 --network ganache --json

        energy-chain meters sign release 800Wh --account bakery --network pilot --chain-id 12345

        energy-chain meters sign release 800Wh --account bakery --at 2026-11-22T10:00+00:00

        energy-chain meters sign request 1.5kWh --network ganache --typed-data
    """
    from energy_chain import signing

    side = signing.Kind[kind.name]
    wh = check_energy(parse_energy(energy), f"{kind} of {energy}")
    period, deadline = when.at_time(_now())
    terms = signing.OrderTerms(side, wh, period, deadline)
    domain = session.order_domain(chain_id)
    if typed_data:
        print_json(signing.typed_data(terms, domain))
        return
    account = session.accounts_for(domain.chain_id).unlock(session.signer())
    signed = signing.sign(terms, domain, bytes(account.key))
    document = signing.OrderDocument(signed, domain, str(account.address))
    if as_json:
        print_json(document.to_json())
        return
    _print_order(document, ("signed by", str(account.address)))
    output().print("With --json it is printed as a relay takes it.")


@meters.command()
def verify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The signed order as meters sign --json prints it; - reads standard input.",
            allow_dash=True,
        ),
    ],
    meter: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Who should have signed; otherwise whom FILE names."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Say who signed an order, and for which market. Asks no node.

    Ends with 1 when the signature is nobody's, or of another meter than is
    named. Whether that meter is registered, and has posted already, the market
    knows: see energy-chain status.

    Examples:

        energy-chain meters verify order.json

        energy-chain meters verify - --meter 0x90F79bf6EB2c4f870365E785982E1f101E93b906 --json
    """
    from energy_chain.chain.addresses import parse_address
    from energy_chain.signing import OrderDocument

    expected = None if meter is None else parse_address(meter)
    document = OrderDocument.parse(_content(file))
    signer = document.signer
    fault = _fault(document, signer, expected)
    if as_json:
        order = {**document.to_json(), "meter": expected or document.meter}
        print_json({"valid": not fault, "fault": fault, "signer": signer, **order})
    else:
        _print_order(document, ("signed by", signer or "nobody"))
        if fault:
            output().print(f"Not good: {fault}.", style="bold red")
        elif expected or document.meter:
            output().print("The signature is the meter's.", style="bold green")
        else:
            output().print("The signature is good; nobody says whose it should be: see --meter.")
    if fault:
        raise typer.Exit(AUDIT_FAILED)


def _fault(document: OrderDocument, signer: Address | None, expected: Address | None) -> str:
    """What is wrong with a signature; empty when nothing is."""
    from energy_chain.signing import HIGHEST_S

    if document.signed.s > HIGHEST_S:
        return "the s of the signature is high, which the market refuses"
    if signer is None:
        return "the signature is of nobody"
    for named, who in ((expected, "--meter"), (document.meter, "the order itself")):
        if named not in (None, signer):
            return f"{signer} signed it, or it was altered; {who} names {named}"
    return ""


def _content(file: Path) -> bytes:
    """What a file says, or standard input, as far as a signed order can be long."""
    from energy_chain.signing import MAX_DOCUMENT

    if str(file) == "-":
        return sys.stdin.buffer.read(MAX_DOCUMENT + 1)
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read ({error.strerror}): check the path") from error


def _print_order(document: OrderDocument, first: tuple[str, Any]) -> None:
    terms: OrderTerms = document.signed.terms
    listed = table("what", "value")
    listed.show_header = False
    for row in (
        first,
        (terms.kind.name.lower(), kwh(terms.energy)),
        ("period", terms.period),
        ("deadline", f"{terms.deadline}, {shown_time(terms.deadline)}"),
        ("chain id", document.domain.chain_id),
        ("contract", document.domain.contract),
        ("signature", document.signed.signature),
    ):
        listed.add_row(*map(str, row))
    output().print(listed)
