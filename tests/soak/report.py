"""What came of a soak, for people and for programs."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from energy_chain.record.audit import AuditReport
from tests.soak.checking import Verdict


class Recovery(NamedTuple):
    """How long after a fault there was an order or a match on chain again.

    Attributes:
        seconds: since the end of the fault; 0 when the chain went on before that.
        fault: what it was, and whom it struck.
    """

    seconds: float
    fault: str


@dataclass
class Soak:
    """What came of it.

    Attributes:
        seed: of the faults.
        minutes: that they lasted.
        faults: of each kind and victim.
        recoveries: from each fault that ended.
        restarts: processes that found no node when they started, and were started again.
        settled_seconds: from the last fault until nothing was under way; None when something
            still was.
        matching: of each aggregator, transactions and those of them that matched something.
        audit: of the chain.
        verdict: the check's.
    """

    seed: int
    minutes: float
    faults: Counter[tuple[str, str]]
    recoveries: Sequence[Recovery]
    restarts: int
    settled_seconds: float | None
    matching: Mapping[str, tuple[int, int]]
    audit: AuditReport
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def longest(self) -> Recovery | None:
        """The longest recovery."""
        return max(self.recoveries, default=None)

    def as_json(self) -> dict[str, Any]:
        """All of it, for JSON."""
        kinds: Counter[str] = Counter()
        for (kind, _), number in self.faults.items():
            kinds[kind] += number
        seconds = [recovery.seconds for recovery in self.recoveries]
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "violations": self.verdict.violations,
            "orders": {way.value: asdict(tally) for way, tally in self.verdict.tallies.items()},
            "faults": dict(sorted(kinds.items())),
            "restarts": self.restarts,
            "recovery_seconds": {
                "longest": round(max(seconds), 1) if seconds else None,
                "median": round(median(seconds), 1) if seconds else None,
                "longest_after": self.longest.fault if self.longest else None,
            },
            "settled_seconds": self.settled_seconds,
            "aggregators": {
                name: {"transactions": sent, "useful": useful}
                for name, (sent, useful) in self.matching.items()
            },
            "audit": asdict(self.audit) | {"clean": self.audit.clean},
        }


def recoveries(faults: Iterable[Mapping[str, Any]], went_on: Sequence[int]) -> list[Recovery]:
    """How long each fault's recovery took.

    Args:
        faults: records of them; `time` is when they ended, and nothing is known of those after
            which nobody was to post any more.
        went_on: Unix times of the blocks with an order or a match, in order.
    """
    found = []
    for fault in faults:
        # A block's time is cut to the second.
        next_at = bisect_left(went_on, int(fault["time"]))
        if next_at < len(went_on):
            seconds = max(0.0, went_on[next_at] - fault["time"])
            found.append(Recovery(seconds, f"{fault['kind']} of {fault['victim']}"))
    return found


def print_report(soak: Soak, console: Console) -> None:
    """Prints it for people."""
    console.print(_orders(soak))
    console.print(_faults(soak))
    longest, audit = soak.longest, soak.audit
    if longest:
        middle = median(recovery.seconds for recovery in soak.recoveries)
        console.print(
            f"Longest recovery {longest.seconds:.1f} s, after {longest.fault}; "
            f"median {middle:.1f} s"
        )
    if soak.settled_seconds is not None:
        console.print(f"Settled {soak.settled_seconds:.1f} s after the last fault")
    console.print(f"{soak.restarts} starts found no node and were repeated")
    for name, (sent, useful) in soak.matching.items():
        share = f", {useful / sent:.0%}" if sent else ""
        console.print(f"{name}: {useful:,} of {sent:,} transactions matched something{share}")
    console.print(
        f"{audit.matches:,} matches of {audit.requests.matched:,} Wh; of {audit.requests.posted:,} "
        f"Wh offered {audit.requests.lost} lost, of {audit.releases.posted:,} Wh needed "
        f"{audit.releases.lost} lost; the audit is {'clean' if audit.clean else 'not clean'}"
    )
    found = soak.verdict.violations
    console.print(f"violations: {len(found)}")
    for violation in found:
        console.print(violation, markup=False, soft_wrap=True)


def _orders(soak: Soak) -> Table:
    table = Table("orders", box=None, pad_edge=False)
    for column in ("given", "accepted", "on chain", "reported late"):
        table.add_column(column, justify="right")
    for way, tally in soak.verdict.tallies.items():
        numbers = tally.intended, tally.accepted, tally.on_chain, tally.late
        table.add_row(way.value, *(f"{number:,}" for number in numbers))
    return table


def _faults(soak: Soak) -> Table:
    table = Table("faults", box=None, pad_edge=False)
    table.add_column("times", justify="right")
    table.add_column("of whom", overflow="fold")
    victims: dict[str, Counter[str]] = {}
    for (kind, victim), number in soak.faults.items():
        victims.setdefault(kind, Counter())[victim] += number
    for kind, struck in sorted(victims.items()):
        told = ", ".join(f"{name} {number}" for name, number in sorted(struck.items()))
        table.add_row(kind, str(struck.total()), told)
    table.add_row("all", str(soak.faults.total()), "")
    return table
