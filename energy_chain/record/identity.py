"""Which market a record is of, and how far it was read."""

from __future__ import annotations

from dataclasses import dataclass

from energy_chain.market import Address


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a market from every other, and how it is read.

    Attributes:
        chain_id: of its chain.
        genesis: hash of the chain's block 0.
        address: of the contract.
        first_block: the block of the deployment, or one before it.
        period_length: seconds; 0 where orders never expire.
        network: what the chain is called.
    """

    chain_id: int
    genesis: str
    address: Address
    first_block: int
    period_length: int
    network: str


@dataclass(frozen=True, slots=True)
class MarketRow:
    """A market in the record.

    Attributes:
        id: number of the market in this record.
        chain_id: of its chain.
        genesis: hash of the chain's block 0.
        address: of the contract.
        first_block: the block of the deployment, or one before it.
        period_length: seconds; 0 where orders never expire.
        network: what the chain was called when it was read last.
        cursor_block: the last block that was read; below `first_block` before the first.
        cursor_hash: its hash; empty before the first.
        cursor_time: its Unix time; 0 before the first.
    """

    id: int
    chain_id: int
    genesis: str
    address: Address
    first_block: int
    period_length: int
    network: str
    cursor_block: int
    cursor_hash: str
    cursor_time: int

    @property
    def current_period(self) -> int:
        """Number of the period of the last block that was read; 0 where orders never expire."""
        return self.cursor_time // self.period_length if self.period_length else 0
