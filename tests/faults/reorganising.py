"""Reorganises a chain again and again, while orders are posted and a record follows.

python -m tests.faults.reorganising --times 1000 --seed 7

At the end each order is on the chain exactly once and the record is the chain's, or this
ends with 1. Only anvil can be told to reorganise.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.record.check import audit_record
from energy_chain.record.indexer import Indexer, Update
from energy_chain.record.source import ChainSource
from energy_chain.record.store import Record
from tests.faults.market import METERS, OWNER, Producer, deploy, orders_of, sender_at, until
from tests.faults.nodes import AnvilNode

DEEPEST = 12
"""Blocks that are put in the place of others, at most."""
PRODUCERS = 3
LONGEST_CHAIN = 500
"""Blocks before a new chain: reorganised after some 850, anvil loses the code of contracts."""
LONGEST_PAUSE = 0.6
"""Seconds between two of them, at most."""
BLOCK_SECONDS = 0.05
"""Between two blocks. A transaction that anvil mines by itself meanwhile costs it blocks."""


@dataclass(slots=True)
class Result:
    """What came of all reorganisations.

    Attributes:
        depths: how often each depth.
        orders: that were posted.
        rolled_back: blocks at whose end the record had to go back.
        wrong: what must not be.
        seconds: that it took.
    """

    depths: Counter[int] = field(default_factory=Counter)
    orders: int = 0
    rolled_back: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def reorganise(folder: Path, times: int, seed: int) -> Result:
    """Reorganises chains in a folder so many times."""
    result, chance, begun = Result(), random.Random(seed), time.monotonic()
    while (left := times - result.depths.total()) > 0:
        with AnvilNode(folder / str(left)) as node:
            _one_chain(node, left, chance, result)
    result.seconds = time.monotonic() - begun
    return result


def _one_chain(node: AnvilNode, times: int, chance: random.Random, result: Result) -> None:
    market = deploy(node)
    node.mine(DEEPEST)  # the market itself stays
    node.ask("evm_setAutomine", False)
    reader = ContractLedger(sender_at(node.url), market.address, OWNER, market.first_block)
    meters = METERS[:PRODUCERS]
    producers = [Producer(sender_at(node.url, meter), market, meter) for meter in meters]
    stop, troubles = Event(), Counter[str]()

    def told(done: Update) -> None:
        result.rolled_back += done.rolled_back

    with Record.temporary() as record:
        indexer = Indexer(record, ChainSource(reader))
        follower = Thread(
            target=indexer.follow,
            args=(stop, told, lambda error: troubles.update([str(error)]), 0.05),
            daemon=True,
        )
        follower.start()
        try:
            for producer in producers:
                producer.__enter__()
            while times > 0 and node.height() < LONGEST_CHAIN:
                at = time.monotonic() + chance.uniform(BLOCK_SECONDS, LONGEST_PAUSE)
                _mine(node, lambda at=at: time.monotonic() > at)  # type: ignore[misc]
                depth = chance.randint(1, DEEPEST)
                node.reorganise(depth)
                result.depths[depth] += 1
                times -= 1
                for producer in producers:
                    _mine(node, producer.has_posted(producer.story.posted + 1))
            node.mine_by_itself(True)
        finally:
            for producer in producers:
                producer.end()
        until(lambda: all(_has_settled(producer) for producer in producers))
        stop.set()
        follower.join()
        indexer.update()
        cursor = record.market_of(indexer.market)
        verdict = audit_record(
            record, cursor, (ChainSource(reader), reader.at_block(cursor.cursor_block))
        )
    if not verdict.clean:
        result.wrong.append(f"the record is not the chain's: {verdict.difference}")
    for producer, meter in zip(producers, meters, strict=True):
        posted, found = producer.story.posted, orders_of(reader, meter)
        result.orders += posted
        if sorted(found) != list(range(1, posted + 1)):
            counts = Counter(found)
            lost = [each for each in range(1, posted + 1) if not counts[each]]
            doubled = [each for each, count in counts.items() if count > 1]
            result.wrong.append(f"of {posted} orders {lost} are lost and {doubled} doubled")
        if not producer.story.errors.keys() <= {"ReceiptTimeout"}:
            result.wrong.append(
                f"a producer met {dict(producer.story.errors)}, {producer.story.said}"
            )


def _mine(node: AnvilNode, is_enough: Callable[[], bool]) -> None:
    def mined() -> bool:
        node.mine()
        time.sleep(BLOCK_SECONDS)
        return is_enough()

    until(mined)


def _has_settled(producer: Producer) -> bool:
    return producer.sender.tend() == 0


def show(result: Result) -> None:
    """Prints what came of them."""
    print(f"{result.depths.total()} reorganisations in {result.seconds:.0f} s, by depth:")
    print("  " + " ".join(f"{depth}:{count}" for depth, count in sorted(result.depths.items())))
    print(f"  {result.orders} orders; the record went back {result.rolled_back} blocks")
    for what in result.wrong:
        print(f"  wrong: {what}")


def main(arguments: list[str] | None = None) -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.reorganising")
    parser.add_argument("--times", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"ENERGY_CHAIN_HOME": f"{folder}/home", "NO_PROXY": "127.0.0.1"}
        result = reorganise(Path(folder), given.times, given.seed)
    show(result)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
