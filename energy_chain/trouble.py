"""What goes wrong for a while: said once, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Self

from energy_chain.errors import (
    AboveMatched,
    ChainError,
    FeeAboveCeiling,
    MarketPaused,
    MatchNotKept,
    NodeUnreachable,
    NotOurContract,
    OutOfFunds,
    ReleaseRingFull,
    RequestRingFull,
    WrongChain,
)

ANSWERS_AGAIN = "no longer, the node answers again"
"""What is told when a node's trouble is over."""
OF_ONE_KIND = (NodeUnreachable, OutOfFunds, FeeAboveCeiling)
"""Errors that are the same trouble whatever their words are."""
REPEAT_SECONDS = 600.0
"""After this long a trouble that is still there is told again."""
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
    """Tells each trouble once, and again when it has stayed or comes again after a while.

    As a context manager it tells and swallows the errors that pass; what was done without one ends
    the trouble before.
    """

    def __init__(
        self, tell: Callable[[str], None] = lambda _: None, clock: Callable[[], float] = monotonic
    ) -> None:
        """Troubles that `tell` is told of, each in one line; `clock` counts seconds."""
        self._tell = tell
        self._clock = clock
        self._now: str | type[BaseException] | None = None
        self._told_at: dict[str | type[BaseException], float] = {}

    def __bool__(self) -> bool:
        """Whether there is one that is not over."""
        return self._now is not None

    def met(self, what: BaseException | str) -> None:
        """There is trouble, maybe still the same."""
        said, now = " ".join(str(what).split()), self._clock()
        # What changes in these, such as the call that got no answer, makes no other trouble.
        self._now = type(what) if isinstance(what, OF_ONE_KIND) else said
        self._told_at = {
            told: at for told, at in self._told_at.items() if now - at < REPEAT_SECONDS
        }
        if self._now not in self._told_at:
            self._told_at[self._now] = now
            self._tell(said)

    def over(self) -> None:
        """There is none any more, as far as can be seen."""
        # Of no other trouble is an answer the end: who cannot pay may have had nothing to pay.
        if self._told_at.pop(NodeUnreachable, None) is not None:
            self._tell(ANSWERS_AGAIN)
        self._now = None

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
