"""A small market in memory, quickly imported: for tests that start a process."""

from __future__ import annotations

from energy_chain.memory_ledger import MemoryLedger

OWNER, METER = (f"0x{digit * 40}" for digit in "12")


def posts() -> MemoryLedger:
    """A deployment, a meter, and four requests: six blocks of a `MemorySource`."""
    market = MemoryLedger.deploy(OWNER, OWNER, OWNER, 900, lambda: 1_777_778 * 900)
    market.register_meters([METER])
    for energy in (1, 2, 3, 4):
        market.as_account(METER).post_request(METER, energy)
    return market
