"""Breaks the contract in many ways, one after the other, and has the fuzzer find each.

python -m tests.stateful.sabotage [WORD ...]     all of them, or those whose names have a word

A machine that cannot fail is worse than none. Ends with 1 when a sabotage was not found.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

from energy_chain.chain.artifact import CONTRACT, sources

from .fuzz import Result, fuzz

CALLS = 100_000
"""Within how many calls each must be found."""
SEED = 1

Sabotage = tuple[str, str]
"""What to replace in the contract, where it stands once, and by what."""

SABOTAGES: dict[str, Sabotage] = {
    "a part fill is forgotten": (
        "| unsafe_sub(requests & limits.MAX_ENERGY, offered) << REQUEST_FILLED_AT",
        "| 0",
    ),
    "the loop ends a fill early": (
        "        if needed == 0:\n            if release_word == last_release_word:",
        "        if needed == 0:\n            if unsafe_add(release_word, 1) >= last_release_word:",
    ),
    "the head's lane is not looked up": (
        "self.pending[release_word & RING_MASK | limits.WORDS] >> ((release_head & 3) << 6)",
        "self.pending[release_word & RING_MASK | limits.WORDS]",
    ),
    "anyone confirms deliveries": (
        "    self._check_operator(self.registry)\n    if len(words) == 0:",
        "    if len(words) == 0:",
    ),
    "anyone consumes": (
        "        self._check_operator(self.registry)\n    if energy > word",
        "        pass\n    if energy > word",
    ),
    "anyone matches an energy": (
        "    if msg.sender != self.aggregator:",
        "    if msg.sender == empty(address):",
    ),
    "anyone takes the ownership": (
        "    if msg.sender != self.pending_owner:",
        "    if self.pending_owner == empty(address):",
    ),
    "meters post for others": (
        "        self._check_operator(self.registry)\n    order:",
        "        self._registered_number(msg.sender)\n    order:",
    ),
    "an overwritten match is kept": (
        "    return unsafe_sub(begun, limits.MATCH_WORDS) << 2",
        "    return unsafe_sub(unsafe_sub(begun, limits.MATCH_WORDS), 1) << 2",
    ),
    "a kept match is refused": (
        "    return unsafe_sub(begun, limits.MATCH_WORDS) << 2",
        "    return unsafe_add(unsafe_sub(begun, limits.MATCH_WORDS), 1) << 2",
    ),
    "more is consumed than is left": (
        "    if energy > word >> at & limits.MAX_ENERGY:",
        "    if energy > (word >> at & limits.MAX_ENERGY) + 1:",
    ),
    "more is confirmed than is left": (
        "    if changed & ~packed_orders.ENERGIES != 0:",
        "    if changed >> 208 != 0:",
    ),
    "all is confirmed of one match more": (
        "drawn & packed_orders.ENERGIES << packed_orders._match_shift(last)",
        "drawn & packed_orders.ENERGIES << unsafe_mul(packed_orders._match_shift(last) >> 7, 128)",
    ),
    "expired orders stay": (
        "    return state & KEPT_BY_PERIOD | (state & TAILS) >> TAIL",
        "    return state & ~((2**31 - 1) << PERIOD_AT)",
    ),
    "what was filled outlives its period": (
        "KEPT_BY_PERIOD: constant(uint256) = PAUSED |",
        "KEPT_BY_PERIOD: constant(uint256) = PAUSED | FIELD << REQUEST_FILLED_AT |",
    ),
    "views show expired orders": (
        "        return state\n    return self._expired(state)\n",
        "        return state\n    return state\n",
    ),
    "the pause is ignored": (
        "    if state >> PERIOD_AT == period:",
        "    if state >> PERIOD_AT & (2**31 - 1) == period:",
    ),
    "the ring takes one too many": (
        "> limits.CAPACITY:  # head <= tail",
        "> limits.CAPACITY + 1:  # head <= tail",
    ),
    "the ring takes one too few": (
        "> limits.CAPACITY:  # head <= tail",
        ">= limits.CAPACITY:  # head <= tail",
    ),
    "the head's word is overwritten": (
        "state >> side & (FIELD - 3)) > limits.CAPACITY",
        "state >> side & FIELD) > limits.CAPACITY",
    ),
    "a retired meter posts": (
        "    if unsafe_sub(number, 1) >= limits.MAX_METERS:",
        "    if number == 0:",
    ),
    "a retired meter is posted for": (
        "    if registry >> RETIRED_AT != 0:\n",
        "    if registry >> RETIRED_AT > 1:\n",
    ),
    "a meter is retired twice": (
        "    number: uint256 = self._registered_number(meter)\n    self.numbers",
        "    number: uint256 = self._number(meter)\n    self.numbers",
    ),
    "a limit price is taken": (
        "    if seen & packed_orders.PRICES != 0:",
        "    if seen & packed_orders.PRICES >> 1 != 0:",
    ),
    "an unknown meter is posted for": (
        "packed_orders._highest_order(registry >> METERS_AT & limits.MAX_METERS)",
        "packed_orders._highest_order((registry >> METERS_AT & limits.MAX_METERS) + 1)",
    ),
    "counters overflow": (
        "    if tail > limits.MAX_COUNTER:",
        "    if tail > limits.MAX_COUNTER + 1:",
    ),
    "an energy is matched in part": (
        "    if wanted != 0:\n",
        "    if wanted > limits.MAX_ENERGY:\n",
    ),
    "a slot beyond the ring is shown": (
        "    if index >= limits.CAPACITY:",
        "    if index > limits.CAPACITY:",
    ),
    "a view reverts": (
        "    if number > limits.MAX_METERS:\n        return empty(address)\n",
        "",
    ),
    "a view reverts in an empty market": (
        "    if self._outstanding(state, side) == 0:\n        return 0\n",
        "",
    ),
    "junk and ether are taken": (
        "@external\ndef pause():",
        "@external\n@payable\ndef __default__():\n    pass\n\n\n@external\ndef pause():",
    ),
    "the event is of another order": (
        "log IEnergyContract.ReleasePosted(meter=_address, counter=counter,",
        "log IEnergyContract.ReleasePosted(meter=_address, counter=unsafe_add(counter, 1),",
    ),
}


def sabotaged(name: str, folder: Path) -> Path:
    """A copy of the contract's sources with one of `SABOTAGES`."""
    old, new = SABOTAGES[name]
    copy = folder / name.replace(" ", "-").replace("'", "")
    shutil.copytree(sources(), copy)
    contract = copy / f"{CONTRACT}.vy"
    text = contract.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{name}: stands {text.count(old)} times in the contract: {old}"
    contract.write_text(text.replace(old, new), encoding="utf-8")
    compile_from_file_input(  # else its failure would be taken for a find
        (bundle := FilesystemInputBundle([copy])).load_file(contract.name), input_bundle=bundle
    )
    return copy


def search(name: str, folder: Path) -> Result:
    """Lets the fuzzer look for a sabotage."""
    quiet = Console(file=io.StringIO())
    return fuzz(CALLS, SEED, 1, quiet, sabotaged(name, folder), shrink=False)


def main(words: list[str]) -> int:
    """Runs the command; 1 when a sabotage was not found."""
    chosen = [name for name in SABOTAGES if not words or any(word in name for word in words)]
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    table = Table("sabotage", box=None, pad_edge=False)
    table.add_column("found after", justify="right")
    table.add_column("by")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ENERGY_CHAIN_CACHE"] = folder
        for name in chosen:
            result = search(name, Path(folder))
            found = bool(result.violations)
            missed += not found
            rule = next(
                (rule for rule, outcomes in result.tally.outcomes.items() if outcomes["violation"]),
                "the end of a sequence" if found else "",
            )
            after = f"{result.tally.calls:,} calls" if found else "not found"
            table.add_row(name, after, rule)
            console.print(f"{name}: {after}")
    console.print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
