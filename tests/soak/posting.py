"""The operator of a soak: posts packed batches without end, each under a key of its own.

python -m tests.soak.posting JOURNAL ENOUGH METER METER METER METER

Who was killed begins with the batch that it was at, under the same key. Once the
file ENOUGH exists it begins no other batch.
"""

from __future__ import annotations

import sys
from pathlib import Path

from energy_chain.cli.daemon import daemon
from energy_chain.cli.exit_codes import CHAIN_FAILED
from energy_chain.cli.session import OPERATOR, Session
from energy_chain.errors import ChainError
from energy_chain.market import Release, Request
from energy_chain.replay import post_batches
from energy_chain.trouble import Troubles
from tests.soak.journal import Journal, Order, Way

NAME = "operator"
FIRST_WH = 200_000
BETWEEN = 4.0
"""Seconds between two batches."""


def batch_to_begin_with(journal: Journal) -> int:
    """The one that was under way, or the next."""
    number, accepted = 0, set()
    for record in journal:
        if record.get("by") == NAME and record["what"] in ("intended", "accepted"):
            number = max(number, record["batch"])
            if record["what"] == "accepted":
                accepted.add(record["batch"])
    return number + (number in accepted)


@daemon()
def main(*, journal: Journal, enough: Path, meters: list[str]) -> None:
    """Posts until it is told to end."""
    session = Session()
    ledger = session.market(OPERATOR)
    numbers = []
    for meter in meters:
        known = ledger.meter(meter)
        assert known, meter
        numbers.append(known.number)
    troubles = Troubles(lambda said: print(f"waiting: {said}", file=sys.stderr, flush=True))
    batch = batch_to_begin_with(journal)
    with session.until_stopped() as stop:
        while not stop.wait(BETWEEN) and not enough.exists():
            wh = [FIRST_WH + len(meters) * batch + i for i in range(len(meters))]
            kinds = ["request" if i % 2 else "release" for i in range(len(meters))]
            orders = [Order(Way.PACKED, *each) for each in zip(kinds, meters, wh, strict=True)]
            for order in orders:
                journal.order("intended", order, NAME, batch=batch)
            each = list(zip(numbers, orders, strict=True))
            requests = [Request(n, order.energy) for n, order in each if order.kind == "request"]
            releases = [Release(n, order.energy) for n, order in each if order.kind == "release"]
            while not stop.is_set():
                with troubles:
                    [receipt] = post_batches(ledger.keyed(f"batch {batch}"), requests, releases)
                    for order in orders:
                        journal.order("accepted", order, NAME, batch=batch, id=receipt.transaction)
                    batch += 1
                    break
                stop.wait(1.0)
        stop.wait()


if __name__ == "__main__":
    try:
        main(journal=Journal(Path(sys.argv[1])), enough=Path(sys.argv[2]), meters=sys.argv[3:])
    except ChainError as error:
        # As the command line does.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(CHAIN_FAILED)
