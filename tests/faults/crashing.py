"""Kills clients at every step of a post, and counts afterwards what is on the chain.

python -m tests.faults.crashing --kills 1000 --seed 7 --node ganache --node anvil

A list of orders is posted by a process that kills itself at a step, such as "after it is
sent"; the next process has the same list, with the same keys, and may be killed as well,
until one comes to the end of it. At the end each order is on the chain exactly once, or
this ends with 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from web3.middleware import Web3Middleware

from energy_chain.chain.artifact import load_artifact
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.outbox import Attempt
from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import NodeUnreachable, ReceiptTimeout, TransactionFailed
from energy_chain.events import RequestPosted
from tests.faults.market import METERS, OWNER, PAUSE, deploy, sender_at
from tests.faults.nodes import NODES, FaultyNode

ORDERS = 3
"""In a list."""
LISTS_IN_A_MARKET = 200
"""A ring holds 1,024 orders."""
PERIOD = 3_600
REPLACE_AFTER = 0.1
"""Seconds after which more is offered for an order, where that is to be seen."""
CHILD_SECONDS = 60
"""After so long a child has failed."""
USUAL = [
    "before it is stored",
    "while it is stored",
    "after it is stored",
    "before it is sent",
    "after it is sent",
    "while it waits",
    "before it is noted as mined",
    "after it is noted as mined",
]
REPLACED = [
    "before the replacement is stored",
    "after the replacement is stored",
    "before the replacement is sent",
    "after the replacement is sent",
]
WITHDRAWN = [
    "before the withdrawal is stored",
    "after the withdrawal is stored",
    "before the withdrawal is sent",
    "after the withdrawal is sent",
]


@dataclass(frozen=True, slots=True)
class Market:
    """Where orders are posted."""

    url: str
    address: str
    first_block: int


@dataclass(frozen=True, slots=True)
class Work:
    """A list of orders of one meter; the Wh of an order tell it from all others of its market."""

    market: Market
    meter: str
    energies: range


@dataclass(slots=True)
class Result:
    """What came of all kills on a node.

    Attributes:
        kills: by step.
        orders: that should be on the chain.
        lost: that are not.
        doubled: that are there more than once.
        failed: children that ended with a fault.
        seconds: that it took.
    """

    node: str
    kills: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether each order is on the chain exactly once."""
        return not (self.lost or self.doubled or self.failed)


# ------------------------------------------------------------------ in a child


class Victim:
    """Kills its process when it comes to a step for the nth time."""

    def __init__(self, step: str, nth: int) -> None:
        self._step, self._left = step, nth

    def reach(self, step: str) -> None:
        """Says where the process is."""
        if step == self._step:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, sender: TransactionSender) -> None:
        """Wraps what a sender does at each step."""
        outbox = sender.outbox
        what = "it"

        def add(*arguments: Any, **options: Any) -> Any:
            nonlocal what
            what = "it"
            return self._around("it is stored", outbox_add, *arguments, **options)

        def attempt(id: int, attempt: Attempt) -> None:
            nonlocal what
            known = outbox.get(id)
            if known is None or not known.attempts:
                outbox_attempt(id, attempt)
                self.reach("while it is stored")
                return
            what = "the withdrawal" if attempt.cancels else "the replacement"
            self._around(f"{what} is stored", outbox_attempt, id, attempt)

        class Watched(Web3Middleware):
            def wrap_make_request(_, make_request: Any) -> Any:
                def asked(method: Any, params: Any) -> Any:
                    if method == "eth_sendRawTransaction":
                        return self._around(f"{what} is sent", make_request, method, params)
                    if method == "eth_getTransactionReceipt":
                        self.reach("while it waits")
                    return make_request(method, params)

                return asked

        def mined(*arguments: Any, **options: Any) -> Any:
            return self._around("it is noted as mined", outbox_mined, *arguments, **options)

        outbox_add, outbox_attempt, outbox_mined = outbox.add, outbox.attempt, outbox.mined
        outbox.add, outbox.attempt, outbox.mined = add, attempt, mined  # type: ignore[method-assign]
        sender.connection.w3.middleware_onion.inject(Watched, layer=0)

    def _around(self, step: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.reach(f"before {step}")
        result = call(*arguments, **options)
        self.reach(f"after {step}")
        return result


def post_all(work: Work, victim: Victim | None, replace_after: float) -> None:
    """Posts a list of orders, each until it has its receipt."""
    sender = sender_at(work.market.url, work.meter, replace_after=replace_after)
    if victim is not None:
        victim.watch(sender)
    ledger = ContractLedger(sender, work.market.address, work.meter, work.market.first_block)
    for energy in work.energies:
        while True:
            try:
                ledger.keyed(f"order {energy}").post_request(work.meter, energy)
                break
            except (NodeUnreachable, ReceiptTimeout, TransactionFailed):
                time.sleep(PAUSE)  # a withdrawn order is posted again, in the period that is now


def energies_of(market: Market) -> list[int]:
    """The orders that the chain has."""
    ledger = ContractLedger(sender_at(market.url), market.address, OWNER, market.first_block)
    posted = [event for receipt in ledger.history() for event in receipt.events]
    return [event.energy for event in posted if isinstance(event, RequestPosted)]


# ------------------------------------------------------------------ the parent


def in_a_child(does: Callable[[], Any]) -> tuple[int, Any]:
    """Lets a child do something; returns how it ended, as `os.waitpid`, and its result.

    The parent is warm, with everything imported, and has neither threads nor connections.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            signal.alarm(CHILD_SECONDS)
            os.close(reading)
            os.write(writing, json.dumps(does()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    return status, json.loads(told) if told else None


class Crashes:
    """Kills clients of one node."""

    def __init__(self, node: FaultyNode, seed: int) -> None:
        self.result = Result(node.name)
        self._node, self._random = node, random.Random(seed)
        self._lists = 0

    def run(self, kills: int, told: Callable[[int], None]) -> Result:
        """Kills so many, and counts what is on the chain."""
        begun = time.monotonic()
        while self.result.kills.total() < kills:
            usual, periodic = self._deploy(0), self._deploy(PERIOD)
            ends = self._lists + LISTS_IN_A_MARKET
            expected: dict[Market, list[int]] = {usual: [], periodic: []}
            while self._lists < ends and self.result.kills.total() < kills:
                scene = self._random.choices(
                    [self._usual, self._stuck, self._late], [0.6, 0.2, 0.2]
                )[0]
                work = self._work(periodic if scene == self._late else usual)
                scene(work)
                self._child(work, None)
                expected[work.market] += work.energies
                told(self.result.kills.total())
            for market, energies in expected.items():
                self._count(market, energies)
        self.result.seconds = time.monotonic() - begun
        return self.result

    def _deploy(self, period_length: int) -> Market:
        def does() -> list[Any]:
            market = deploy(self._node, period_length)
            return [market.address, market.first_block]

        status, told = in_a_child(does)
        assert status == 0, "the market was not deployed"
        return Market(self._node.url, *told)

    def _work(self, market: Market) -> Work:
        self._lists += 1
        first = 10 * self._lists
        meter = METERS[self._lists % len(METERS)]
        return Work(market, meter, range(first, first + ORDERS))

    def _usual(self, work: Work) -> None:
        for _ in range(self._random.randint(1, 3)):
            self._child(work, self._random.choice(USUAL), self._random.randint(1, ORDERS))

    def _stuck(self, work: Work) -> None:
        with self._node.not_mining():
            for _ in range(self._random.randint(1, 2)):
                self._child(work, self._random.choice(REPLACED), replace_after=REPLACE_AFTER)

    def _late(self, work: Work) -> None:
        self._child(work, "before it is sent")
        self._node.skip_time(PERIOD)
        for _ in range(self._random.randint(1, 2)):
            self._child(work, self._random.choice(WITHDRAWN))

    def _child(
        self, work: Work, step: str | None, nth: int = 1, replace_after: float = 30.0
    ) -> None:
        victim = None if step is None else Victim(step, nth)
        status, _ = in_a_child(lambda: post_all(work, victim, replace_after))
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            assert step is not None, "somebody else has killed it"
            self.result.kills[step] += 1
        elif status:
            self.result.failed += 1
            print(f"a child ended with {status}, to be killed {step}", flush=True)

    def _count(self, market: Market, expected: list[int]) -> None:
        status, found = in_a_child(lambda: energies_of(market))
        assert status == 0, "the chain could not be read"
        counts = Counter(found)
        self.result.orders += len(expected)
        self.result.lost += [energy for energy in expected if not counts[energy]]
        self.result.doubled += [energy for energy, count in counts.items() if count > 1]


def show(result: Result) -> None:
    """Prints what came of the kills."""
    print(f"{result.node}: {result.kills.total()} kills in {result.seconds:.0f} s")
    for step in USUAL + REPLACED + WITHDRAWN:
        print(f"  {step:36}{result.kills[step]:6}")
    print(
        f"  {result.orders} orders, lost {result.lost}, doubled {result.doubled}, "
        f"failed {result.failed}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crashing")
    parser.add_argument("--kills", type=int, default=1_000, help="on all nodes together")
    parser.add_argument("--seed", type=int, default=0)
    names = [kind.name for kind in NODES]
    parser.add_argument("--node", action="append", choices=names, help="one or more; default all")
    given = parser.parse_args(arguments)
    kinds = [kind for kind in NODES if kind.name in (given.node or names)]
    load_artifact()
    gc.freeze()
    results = []
    for kind in kinds:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            os.environ |= {"ENERGY_CHAIN_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"}
            node = stack.enter_context(kind(folder / "node"))
            done = 0

            def told(kills: int, name: str = kind.name) -> None:
                nonlocal done
                if kills >= done + 100:
                    done = kills
                    print(f"{name}: {kills} kills", flush=True)

            results.append(Crashes(node, given.seed).run(-(-given.kills // len(kinds)), told))
        show(results[-1])
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
