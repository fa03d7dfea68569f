"""Takes back what blocks have told that are no longer in the chain.

Afterwards the store is as it was after the block that is given, but for the
orders that came in meanwhile. What the lost blocks had done to an order is undone:
one that they had posted is sent, where the relay has posted it and has still to ask
what becomes of it, or waits again.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update

from energy_chain.relay.lines import Standing, keep_lines
from energy_chain.relay.store import (
    OVER,
    State,
    batches,
    expire,
    find_live,
    matches,
    orders,
    set_followed,
)
from energy_chain.signing import Kind


def rewind(connection: Connection, standing: Standing, length: int, never: bool) -> None:
    """Goes back to a block that was followed and is still in the chain.

    Args:
        connection: in a transaction that writes.
        standing: the market after that block.
        length: seconds of a period, as orders are signed for it.
        never: whether orders on chain never expire.
    """
    period = standing.time // length
    _take_back_matches(connection, standing.matches)
    _take_back_orders(connection, standing.block, period)
    _reopen_batches(connection, standing.block)
    _put_in_line(connection, standing)
    expire(connection, standing.time, period, never)
    set_followed(connection, standing.block, {})


def _take_back_matches(connection: Connection, count: int) -> None:
    lost = matches.c.match >= count
    energies = select(matches.c.seq, func.sum(matches.c.energy)).where(lost)
    for seq, energy in connection.execute(energies.group_by(matches.c.seq)).all():
        connection.execute(
            update(orders).where(orders.c.seq == seq).values(matched=orders.c.matched - energy)
        )
        connection.execute(
            update(orders)
            .where((orders.c.seq == seq) & (orders.c.state == State.MATCHED))
            .values(state=State.ON_CHAIN)
        )
    connection.execute(delete(matches).where(lost))


def _take_back_orders(connection: Connection, block: int, period: int) -> None:
    """Posted, refused or expired after a block: none of that is so any more."""
    expired = (orders.c.state == State.EXPIRED) & (orders.c.period >= period)
    told = select(orders).where((orders.c.block > block) | expired)
    # The latest first: a meter that was told of an end may have signed another order since.
    for order in connection.execute(told.order_by(orders.c.seq.desc())).all():
        values: dict[str, object] = {}
        is_posted = order.block is not None and order.block <= block
        if not is_posted:
            values = {"block": None, "counter": None}
        slot = order.number, Kind(order.kind), order.period
        if order.state not in OVER or find_live(connection, *slot) is None:
            values["reason"] = None
            if is_posted:
                values["state"] = State.ON_CHAIN
            elif order.batch is None:
                values |= {"state": State.ACCEPTED, "transaction": None}
            else:
                sent = select(batches.c.transaction).where(batches.c.id == order.batch)
                values |= {"state": State.SENT, "transaction": connection.scalar(sent)}
        if values:
            connection.execute(update(orders).where(orders.c.seq == order.seq).values(**values))


def _reopen_batches(connection: Connection, block: int) -> None:
    sent = select(orders.c.batch).where(orders.c.state == State.SENT)
    connection.execute(
        update(batches)
        .where((batches.c.block > block) | batches.c.id.in_(sent))
        .values(closed=0, block=None, gas=None)
    )


def _put_in_line(connection: Connection, standing: Standing) -> None:
    posted = select(orders.c.seq, orders.c.kind, orders.c.counter).where(
        orders.c.state == State.ON_CHAIN
    )
    ours = {(row.kind, row.counter): row.seq for row in connection.execute(posted)}
    for kind, line in standing.lines.items():
        for each in line:
            each.seq = ours.get((int(kind), each.counter))
    keep_lines(connection, standing.lines)
