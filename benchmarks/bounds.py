"""What the rules of the chain make every contract of a layout pay: the lower bound.

A bound counts what no program can leave out: that the transaction exists, its
data, each storage word that has to be read or written once, and the log. It
leaves out all computation.

    bound = 21000                                       a transaction, Yellow Paper G_transaction
          + 4 * zero bytes + 16 * other bytes of data   EIP-2028
          + 2100 * words read                           EIP-2929, cold SLOAD
          + 5000 * words overwritten                    EIP-2929 and EIP-2200: 2100 cold + 2900
          + 22100 * words written for the first time    2100 cold + 20000
          + 3000 * signatures recovered                 Yellow Paper, precompile ECREC
          + 375 + 375 * topics + 8 * bytes of each log  Yellow Paper G_log, G_logtopic, G_logdata
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from energy_chain.gas import FIRST_WRITE, INTRINSIC, OVERWRITE, READ, log_gas

RECOVER = 3_000
MAX_REFUND_SHARE = 5
"""A refund is at most a fifth of the gas used (EIP-3529)."""


@dataclass(frozen=True, slots=True)
class Log:
    """One log: its topics, the signature included, and the words of its data."""

    topics: int
    words: int

    @property
    def gas(self) -> int:
        """What no program can log it for less than."""
        return log_gas(self.topics, self.words)


def array_log(words: int) -> Log:
    """A log of a number and an array: signature; number, offset, length and the words."""
    return Log(1, 3 + words)


@dataclass(frozen=True, slots=True)
class Touched:
    """What transactions have to touch.

    Attributes:
        read: words of storage that are only read.
        overwritten: words that held something.
        first_written: words that held zero.
        recovered: signatures whose signer has to be found.
        logs: what is logged.
        transactions: how many.
    """

    read: int = 0
    overwritten: int = 0
    first_written: int = 0
    recovered: int = 0
    logs: tuple[Log, ...] = ()
    transactions: int = 1

    def __add__(self, other: Touched) -> Touched:
        return Touched(
            self.read + other.read,
            self.overwritten + other.overwritten,
            self.first_written + other.first_written,
            self.recovered + other.recovered,
            self.logs + other.logs,
            self.transactions + other.transactions,
        )

    @property
    def storage(self) -> int:
        """Gas of the words."""
        return READ * self.read + OVERWRITE * self.overwritten + FIRST_WRITE * self.first_written

    @property
    def log(self) -> int:
        """Gas of the logs."""
        return sum(log.gas for log in self.logs)

    def bound(self, calldata: int) -> int:
        """The least gas that these transactions can use, whose data costs `calldata`."""
        chain = INTRINSIC * self.transactions + RECOVER * self.recovered
        return chain + calldata + self.storage + self.log


def read(words: int) -> Touched:
    """Words that are only read."""
    return Touched(read=words, transactions=0)


def overwritten(words: int) -> Touched:
    """Words that held something and are read and written."""
    return Touched(overwritten=words, transactions=0)


def first_written(words: int) -> Touched:
    """Words that held zero."""
    return Touched(first_written=words, transactions=0)


def recovered(signatures: int) -> Touched:
    """Signatures whose signer has to be found."""
    return Touched(recovered=signatures, transactions=0)


def logged(*logs: Log) -> Touched:
    """What is logged."""
    return Touched(logs=logs, transactions=0)


def matched_of(requests: list[int], releases: list[int]) -> tuple[int, int, int]:
    """What first come, first served does to two queues of energies, without a loop.

    Both queues lie along one line of energy; wherever an order ends, a match ends.

    Returns:
        Matches, and how many requests and how many releases take part in them.
    """
    ends = [list(accumulate(requests)), list(accumulate(releases))]
    matched = min(side[-1] for side in ends)
    matches = len({end for side in ends for end in side if end < matched}) + 1
    return (matches, *(1 + sum(end < matched for end in side) for side in ends))  # type: ignore[return-value]
