"""Audits the record in the background, in a process of its own, and says what came out.

The audit recomputes everything, which takes a processor for as long as it takes. In a
thread it would keep the answers waiting. It asks no chain: `energy-chain audit --record`
does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from threading import Event
from typing import Any

from energy_chain.market import Address
from energy_chain.record.identity import MarketRow
from energy_chain.record.store import Record
from energy_chain.web.state import State

REST_SECONDS = 10.0
"""Between two audits, at least; and the longer an audit takes, the longer."""
REST_SHARE = 10
"""How many times as long as the audit took."""
POLL_SECONDS = 0.1
NICE = 10
LONGEST_SAID = 300


class Auditing:
    """Audits each market that has changed since it was audited last."""

    def __init__(
        self, record: Record, place: str, state: State, only: Address | None = None
    ) -> None:
        """What to audit.

        Args:
            record: the record.
            place: where it is, with what it takes to open it.
            state: is told.
            only: of this market alone.
        """
        self._record, self._place, self._state, self._only = record, place, state, only
        self._audited: dict[Address, str] = {}

    def run(self, stop: Event, rest_seconds: float = REST_SECONDS) -> None:
        """Until it is told to stop."""
        while not stop.is_set():
            begun = time.monotonic()
            for market in self._changed():
                self.audit(market, stop)
            took = time.monotonic() - begun
            stop.wait(max(rest_seconds, REST_SHARE * took))

    def audit(self, market: MarketRow, stop: Event) -> None:
        """Audits one market, unless it is told to stop."""
        self._state.auditing(market.address)
        command = [sys.executable, "-m", "energy_chain", "audit", "--offline", "--json"]
        # In the environment, as a place may hold a password.
        environment = {
            **os.environ,
            "ENERGY_CHAIN_RECORD": self._place,
            "ENERGY_CHAIN_CONTRACT": market.address,
        }
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        ) as process:
            with suppress(OSError, AttributeError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
            said = _until_done(process, stop)
        if said is None:
            return
        self._audited[market.address] = market.cursor_hash
        report, trouble = said
        if report is None:
            self._state.not_audited(market.address, f"the audit failed: {trouble[-LONGEST_SAID:]}")
            return
        self._state.audited(
            market.address, report["clean"], report["block"], _words(report)[:LONGEST_SAID]
        )

    def _changed(self) -> list[MarketRow]:
        by_address = {market.address: market for market in self._record.markets()}
        return [
            market
            for market in by_address.values()
            if market.cursor_hash
            and self._audited.get(market.address) != market.cursor_hash
            and self._only in (None, market.address)
        ]


def _until_done(
    process: subprocess.Popen[str], stop: Event
) -> tuple[dict[str, Any] | None, str] | None:
    """What it printed, as JSON where it is, and on standard error; None when it was stopped."""
    while True:
        try:
            printed, trouble = process.communicate(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                process.kill()
                process.communicate()
                return None
            continue
        try:
            told: dict[str, Any] = json.loads(printed)
        except ValueError:
            return None, " ".join(trouble.split())
        return told, ""


def _words(report: dict[str, Any]) -> str:
    if not report["clean"]:
        return str(report["difference"] or "energy is lost")
    return (
        f"{report['matches']:,} matches in {report['events']:,} events of "
        f"{report['transactions']:,} transactions recomputed, {report['rows']:,} rows and their "
        "sums compared; the chain was not asked"
    )
