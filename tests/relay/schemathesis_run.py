"""Ten thousand requests made up from the relay's own description, by Schemathesis.

    make fuzz-relay
    python tests/relay/schemathesis_run.py [CASES]

Not a test that pytest collects: it takes minutes, and Schemathesis comes with a
pytest plugin that other tests can do without. What is only made up never gets
past the door, so half of the orders are signed with keys that everybody knows,
and some of those are altered after it. The market's time goes on meanwhile, and orders
are posted and matched. Every answer has to have a status, a type and a body that the
description names, and no status of 500 or above; what breaks the description
has to be refused.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.property.markets import GENESIS, METERS, PERIOD, Clock
from tests.relay.conftest import Service, body, new_market

SHARES = {"post_order": 76, "get_order": 12, "list_orders": 12}
"""Percent of the cases; health, which takes nothing, is asked in between."""
WANTED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
TURN = 25
"""Orders after which time goes on."""


class Run:
    """The relay under test, and what it has answered."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock(GENESIS + 10)
        self.market = new_market(self.clock)
        self.service = Service(
            folder,
            self.clock,
            self.market,
            client_rate="1000000/second",
            meter_rate="1000000/second",
        )
        self.answers: Counter[tuple[str, int]] = Counter()
        self.ids: list[str] = []
        self.posted = 0
        load_all_checks()
        self.checks = CHECKS.get_by_names(list(WANTED))
        self.schema = schemathesis.openapi.from_asgi("/openapi.json", self.service.client.app)

    def signed_orders(self) -> st.SearchStrategy[dict[str, Any]]:
        """Orders that meters have signed, most of them good, some altered afterwards."""

        def made(
            meter: int, kind: str, energy: int, later: int, left: int, altered: dict[str, Any]
        ) -> dict[str, Any]:
            period = self.clock.time // PERIOD + later
            deadline = max(0, (period + 1) * PERIOD - left)
            return body(meter, kind, energy, period, deadline) | altered

        alterations: dict[str, Any] = {
            "energy_wh": st.integers(0, 2**32 - 1),
            "limit_price": st.integers(0, 2**16 - 1),
            "signature": st.binary(min_size=64, max_size=65).map(lambda raw: "0x" + raw.hex()),
            "chain_id": st.integers(0, 2**64 - 1),
            "deadline": st.integers(0, 2**64 - 1),
        }
        return st.builds(
            made,
            meter=st.integers(0, 5),
            kind=st.sampled_from(("request", "release")),
            energy=st.integers(0, 4_000),
            later=st.sampled_from((0,) * 8 + (1,) * 4 + (2, -1)),
            left=st.sampled_from((0, 1, 2, 30, 60, 60, 120, 300, 901, -1)),
            altered=_one_of(
                *[st.just({})] * 12,
                *[
                    given.map(lambda value, name=name: {name: value})
                    for name, given in alterations.items()
                ],
            ),
        )

    def cases(self, name: str) -> st.SearchStrategy[Any]:
        """Requests to an operation: as described, otherwise, and such as get further."""
        operation = self.schema.find_operation_by_id(name)
        made_up = [operation.as_strategy(mode) for mode in GenerationMode]
        match name:
            case "post_order":
                orders = self.signed_orders().map(
                    lambda order: operation.Case(body=order, media_type="application/json")
                )
                return _one_of(*made_up, orders, orders)
            case "get_order":
                known = st.integers(0, 10**6).map(
                    lambda number: operation.Case(
                        path_parameters={
                            "id": (self.ids or ["0" * 64])[number % len(self.ids or [0])]
                        }
                    )
                )
                return _one_of(*made_up, known)
            case "list_orders":
                listed = st.builds(
                    lambda meter, after, limit: operation.Case(
                        query={"meter": METERS[meter], "after": after, "limit": limit}
                    ),
                    st.integers(0, 5),
                    st.integers(0, 2_000),
                    st.integers(1, 100),
                )
                return _one_of(*made_up, listed)
        return made_up[0]

    def ask(self, name: str, cases: int) -> None:
        """Asks an operation so many times."""

        @seed(7)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @given(case=self.cases(name))
        def ask(case: Any) -> None:
            self.answer(name, case)

        ask()

    def answer(self, name: str, case: Any) -> None:
        """Asks, checks the answer, and lets time go on."""
        response = case.call()
        self.answers[name, response.status_code] += 1
        case.validate_response(response, checks=self.checks)
        if name == "post_order":
            self.posted += 1
            if response.status_code == 202:
                self.ids.append(response.json()["id"])
            if self.posted % TURN == 0:
                self.service.wait(300)
                self.market.match_pending(5)
                self.service.step()
                self.answer("health", self.schema.find_operation_by_id("health").Case())


def _one_of(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of these, each as often: `st.one_of` would count every branch within them."""
    return st.sampled_from(range(len(kinds))).flatmap(lambda number: kinds[number])


def main(cases: int) -> int:
    """Runs that many cases. Returns 1 when one of them was answered as it must not be."""
    faults = 0
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        for name, percent in SHARES.items():
            try:
                run.ask(name, cases * percent // 100)
            except (Exception, BaseExceptionGroup) as error:
                faults += 1
                print(f"{name}: {error}\n")
        seconds = perf_counter() - began
        states = run.service.health()["orders"]
        run.service.close()
    for (name, status), number in sorted(run.answers.items()):
        print(f"{name:12} {status} {number:6,}")
    done = sum(run.answers.values())
    good = sum(number for (_, status), number in run.answers.items() if status < 300)
    print(f"{done:,} cases in {seconds:.0f} s, {good:,} of them answered 2xx, {faults} faults")
    print("orders:", ", ".join(f"{number:,} {state}" for state, number in states.items()))
    return int(faults > 0 or done < cases * 0.98)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
