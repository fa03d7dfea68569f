"""What goes wrong for a while: said once, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from energy_chain.errors import (
    AboveMatched,
    ChainError,
    MarketPaused,
    MatchNotKept,
    NotOurContract,
    ReleaseRingFull,
    RequestRingFull,
    WrongChain,
)

FINAL = (WrongChain, NotOurContract)
"""Errors of the chain after which there is nothing to wait for."""
PASSING = (MarketPaused, RequestRingFull, ReleaseRingFull, AboveMatched, MatchNotKept)
"""Refusals that end without whoever was refused: others unpause, match, or were faster to draw."""


def passes(error: BaseException) -> bool:
    """Whether it is worth while to wait and try again."""
    return isinstance(error, PASSING) or (
        isinstance(error, ChainError) and not isinstance(error, FINAL)
    )


class Troubles:
    """Tells each trouble once, until it is over or another one comes.

    As a context manager it tells and swallows the errors that pass; what was done without one ends
    the trouble before.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Troubles that `tell` is told of, each in one line."""
        self._tell = tell
        self._told = ""

    def __bool__(self) -> bool:
        """Whether there is one that is not over."""
        return bool(self._told)

    def met(self, what: BaseException | str) -> None:
        """There is trouble, maybe still the same."""
        said = " ".join(str(what).split())
        if said != self._told:
            self._told = said
            self._tell(said)

    def over(self) -> None:
        """There is none any more."""
        self._told = ""

    def __enter__(self) -> Self:
        """Something is tried."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """It went well, or was told; raises what does not pass."""
        if error is None:
            self.over()
            return False
        if not passes(error):
            return False
        self.met(error)
        return True
