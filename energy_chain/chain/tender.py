"""Looks after what is under way, beside whatever else a daemon does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

from web3.exceptions import Web3Exception

from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import ChainError, WrongChain

TEND_SECONDS = 1.0
"""Between two looks at what is under way."""


class Tender:
    """Tends a sender's outbox while its context lasts; see `TransactionSender.tend`."""

    def __init__(
        self,
        sender: TransactionSender,
        report: Callable[[str], None] = lambda _: None,
        seconds: float = TEND_SECONDS,
    ) -> None:
        """A tender of everything that the sender's accounts have under way.

        Args:
            sender: whose.
            report: is told of what somebody should know.
            seconds: between two looks.
        """
        self._sender = sender
        self._report = report
        self._seconds = seconds
        self._stop = Event()
        self._thread = Thread(target=self._tend, daemon=True)

    def __enter__(self) -> Self:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends; what is under way stays in the outbox."""
        self._stop.set()
        self._thread.join()

    def _tend(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._sender.tend(self._report)
            except WrongChain as error:
                self._report(str(error))
                return
            except (ChainError, Web3Exception):
                # Whoever needs the chain meets the same fault, and says so.
                continue
