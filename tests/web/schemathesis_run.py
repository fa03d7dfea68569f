"""Ten thousand requests made up from the page's own description, by Schemathesis.

    make fuzz-page
    python tests/web/schemathesis_run.py [CASES]

Not a test that pytest collects: it takes minutes, and Schemathesis comes with a pytest plugin that
other tests can do without. What is only made up asks for no market that there is, so in most cases
the market, and in some what else there is in the record, is put in. The record has a market with
delivery periods and one without, and grows meanwhile. Every answer has to have a status, a type and
a body that the description names, and no status of 500 or above; what breaks the description has to
be refused. Events are left out: they do not end.
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
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from energy_chain.record.indexer import Indexer
from energy_chain.record.store import Record
from energy_chain.record.tables import transactions
from energy_chain.web.app import create_app
from energy_chain.web.times import iso
from tests.record.chains import CONTRACT, Block, FakeChain
from tests.record.test_indexer import BATCHES, TRADE, WAIT

OTHER = "0x" + "ab" * 20
"""The market without delivery periods."""
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
LEFT_OUT = {"listen"}
TURN = 250
"""Requests after which there is more in the record."""


class Run:
    """The application under test, and what it has answered."""

    def __init__(self, folder: Path) -> None:
        self.chains = [
            FakeChain([*BATCHES, WAIT, *TRADE]),
            FakeChain(TRADE, OTHER, period_length=0),
        ]
        self.record = Record.open(folder / "record.sqlite")
        self.app = create_app(self.record)
        self.grow()
        self.answers: Counter[tuple[str, int]] = Counter()
        load_all_checks()
        self.checks = CHECKS.get_by_names(list(WANTED))
        self.schema = schemathesis.openapi.from_asgi("/openapi.json", self.app)
        self.operations = {
            operation.definition.raw["operationId"]: operation
            for operation in (result.ok() for result in self.schema.get_all_operations())
            if operation.definition.raw["operationId"] not in LEFT_OUT
        }

    def grow(self) -> None:
        """More blocks, and the record with them."""
        for chain in self.chains:
            chain.extend([Block(call) for call in (WAIT, *TRADE)])
            Indexer(self.record, chain).update()
        with self.record.reading() as connection:
            self.hashes = list(connection.scalars(select(transactions.c.hash).limit(20)))

    def cases(self, name: str) -> st.SearchStrategy[Any]:
        """Requests to an operation: as described, otherwise, and such as get further."""
        operation = self.operations[name]
        made_up = [operation.as_strategy(mode) for mode in GenerationMode]
        markets = st.sampled_from((CONTRACT, CONTRACT, OTHER))
        times = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}".zfill(20))
        near = st.integers(1_599_990_000, 1_600_030_000).map(iso)
        better: dict[str, st.SearchStrategy[Any]] = {
            "number": st.integers(1_777_778, 1_777_800) if "period" in name else st.integers(1, 6),
            "index": st.integers(0, 8),
            "hash": st.sampled_from(self.hashes),
        }
        asked: dict[str, st.SearchStrategy[Any]] = {
            "from": near | times,
            "to": near | times,
            "month": st.just("2020-09"),
            "timezone": st.sampled_from(("UTC", "Europe/Berlin", "Asia/Kolkata")),
            "meter": st.integers(0, 6),
            "by": st.sampled_from(("period", "hour", "day")),
        }

        def further(case: Any, market: str, path: dict[str, Any], query: dict[str, Any]) -> Any:
            if case.path_parameters:
                known = {"address": market, **path}
                for parameter in case.path_parameters:
                    case.path_parameters[parameter] = known.get(
                        parameter, case.path_parameters[parameter]
                    )
            described = {each["name"] for each in operation.definition.raw.get("parameters", ())}
            case.query = {
                **(case.query or {}),
                **{key: value for key, value in query.items() if key in described},
            }
            return case

        put_in = st.builds(
            further,
            operation.as_strategy(GenerationMode.POSITIVE),
            markets,
            st.fixed_dictionaries(better),
            st.fixed_dictionaries({"month": asked.pop("month")}, optional=asked),
        )
        only_market = st.builds(
            further,
            operation.as_strategy(GenerationMode.POSITIVE),
            markets,
            st.just({}),
            st.just({}),
        )
        kinds = [*made_up, put_in, put_in, only_market]
        return st.sampled_from(range(len(kinds))).flatmap(lambda number: kinds[number])

    def ask(self, name: str, cases: int) -> None:
        """Asks an operation so many times."""

        @seed(8)
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
            response = case.call()
            self.answers[name, response.status_code] += 1
            case.validate_response(response, checks=self.checks)
            if sum(self.answers.values()) % TURN == 0:
                self.grow()

        ask()


def main(cases: int) -> int:
    """Runs that many cases. Returns 1 when one of them was answered as it must not be."""
    faults, began = 0, perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        for name in run.operations:
            try:
                run.ask(name, -(-cases // len(run.operations)))
            except (Exception, BaseExceptionGroup) as error:
                faults += 1
                print(f"{name}: {error}\n")
        run.record.close()
    for (name, status), number in sorted(run.answers.items()):
        print(f"{name:18} {status} {number:6,}")
    done = sum(run.answers.values())
    good = sum(number for (_, status), number in run.answers.items() if status < 300)
    seconds = perf_counter() - began
    print(f"{done:,} cases in {seconds:.0f} s, {good:,} of them answered 2xx, {faults} faults")
    return int(faults > 0 or done < cases * 0.9)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
