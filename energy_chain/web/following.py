"""Keeps the record up to date while it is served, and says how the node is."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from energy_chain.errors import EnergyChainError
from energy_chain.market import Address
from energy_chain.record.indexer import Indexer
from energy_chain.trouble import Troubles, passes
from energy_chain.web.state import State

POLL_SECONDS = 1.0


class Following:
    """Follows one market, in the thread that runs it."""

    def __init__(
        self,
        opened: Callable[[], Indexer],
        state: State,
        market: Address | None = None,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """What to follow.

        Args:
            opened: opens the market on its chain; it is called again where the node fails.
            state: is told how the node is.
            market: the address of the market, where it is known before the node answers.
            trouble: hears of what failed, once until it is over.
        """
        self._opened, self._state, self._market = opened, state, market
        self._troubles = Troubles(trouble)
        self._indexer: Indexer | None = None

    def step(self) -> bool:
        """Brings the record up to date. Returns whether the node answered.

        Raises:
            WrongChain, NotOurContract: the market is gone.
        """
        try:
            if self._indexer is None:
                self._indexer = self._opened()
                self._market = self._indexer.market.address
            self._indexer.update()
        except EnergyChainError as error:
            if self._market is not None:
                self._state.node(self._market, False, told(error))
            if not passes(error):
                raise
            self._troubles.met(error)
            return False
        self._troubles.over()
        if self._market is not None:
            self._state.node(self._market, True)
        return True

    def run(self, stop: Event, seconds: float = POLL_SECONDS) -> None:
        """Until it is told to stop; as `step`."""
        while not stop.is_set():
            self.step()
            stop.wait(seconds)


def told(error: EnergyChainError) -> str:
    """What an error says to everybody: its message may name the node."""
    first = (type(error).__doc__ or "").strip().partition("\n")[0]
    return first.rstrip(".") or type(error).__name__
