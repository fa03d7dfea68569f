"""Faults, drawn from a seed: who, what, when and for how long, two at once at most."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random
from threading import Event, Lock, Semaphore, Thread
from typing import Protocol

from tests.faults.kinds import BY_NAME
from tests.faults.proxy import Proxy
from tests.soak.journal import Journal

NODE = "ganache"
KILL, PAUSE = "kill", "pause"
CUTS = sorted(BY_NAME.keys() - {"wrong_chain"})
"""What happens to ways to the node. Whoever finds another chain there stops, and shall."""
AT_ONCE = 2
BETWEEN = (2.0, 10.0)
"""Seconds between the beginnings of two faults."""
LASTS = {KILL: (0.2, 5.0), PAUSE: (2.0, 15.0)}
"""Seconds that somebody is dead or stands still."""
CUT_LASTS = (2.0, 12.0)
WEIGHTS = {"workers": 5, "ways": 4, NODE: 2}
"""How often each is struck."""
AFTERMATH = 20.0
"""Seconds after a fault in which who starts may still find no node."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        after: seconds since the one before began.
        kind: kill, pause or one of `CUTS`.
        victim: whom it strikes.
        seconds: how long it lasts.
    """

    after: float
    kind: str
    victim: str
    seconds: float


def plan(seed: int, workers: Sequence[str], ways: Sequence[str]) -> Iterator[Fault]:
    """Faults without end: the same for the same seed."""
    random = Random(seed)
    victims = {"workers": workers, "ways": ways, NODE: [NODE]}
    while True:
        [what] = random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        kind = random.choice(CUTS if what == "ways" else [KILL, PAUSE])
        victim = random.choice(victims[what])
        lasts = random.uniform(*LASTS.get(kind, CUT_LASTS))
        yield Fault(random.uniform(*BETWEEN), kind, victim, lasts)


class Victim(Protocol):
    """A process that can be struck."""

    def kill(self) -> None:
        """Ends it as a crash does."""

    def start(self) -> None:
        """Starts it again."""

    def pause(self) -> None:
        """Lets it stand still."""

    def resume(self) -> None:
        """Lets it go on."""


class Chaos:
    """Lets the faults of a plan happen while its context lasts; afterwards all are over.

    Attributes:
        counts: faults of each kind and victim that have begun.
    """

    def __init__(
        self,
        faults: Iterator[Fault],
        victims: Mapping[str, Victim],
        ways: Mapping[str, Proxy],
        journal: Journal,
    ) -> None:
        """Faults for processes and ways to the node, all by their names."""
        self._faults, self._victims, self._ways, self._journal = faults, victims, ways, journal
        self.counts: Counter[tuple[str, str]] = Counter()
        self._slots = Semaphore(AT_ONCE)
        self._locks = {name: Lock() for name in (*victims, *ways)}
        self._ended_at = dict.fromkeys(self._locks, float("-inf"))
        self._stop = Event()
        self._running: list[Thread] = []
        self._broken: list[Exception] = []
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Chaos:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Begins no more faults, and ends those that last."""
        self._stop.set()
        self._thread.join()
        for thread in self._running:
            thread.join()

    def check(self) -> None:
        """Raises what went wrong with a fault itself."""
        if self._broken:
            raise self._broken[0]

    @contextmanager
    def spared(self, victim: str) -> Iterator[bool]:
        """Nothing strikes somebody meanwhile; tells whether nothing does already."""
        lock = self._locks[victim]
        free = lock.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                lock.release()

    def disturbs(self, *names: str) -> bool:
        """Whether a fault lasts, or has only just ended, for one of them."""
        now = time.monotonic()
        return any(
            self._locks[name].locked() or now - self._ended_at[name] < AFTERMATH for name in names
        )

    def _run(self) -> None:
        for fault in self._faults:
            if self._stop.wait(fault.after):
                return
            self._slots.acquire()
            thread = Thread(target=self._strike, args=(fault,), daemon=True)
            self._running.append(thread)
            thread.start()

    def _strike(self, fault: Fault) -> None:
        try:
            with self._locks[fault.victim]:
                begun = time.time()
                self.counts[fault.kind, fault.victim] += 1
                with self._happening(fault):
                    self._stop.wait(fault.seconds)
                self._ended_at[fault.victim] = time.monotonic()
            self._journal.note("fault", kind=fault.kind, victim=fault.victim, begun=begun)
        except Exception as error:
            self._broken.append(error)
        finally:
            self._slots.release()

    def _happening(self, fault: Fault) -> AbstractContextManager[None]:
        if fault.kind in CUTS:
            return self._ways[fault.victim].failing(BY_NAME[fault.kind])
        return _struck(self._victims[fault.victim], fault.kind)


@contextmanager
def _struck(victim: Victim, kind: str) -> Iterator[None]:
    (victim.kill if kind == KILL else victim.pause)()
    try:
        yield
    finally:
        (victim.start if kind == KILL else victim.resume)()
