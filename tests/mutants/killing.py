"""The tests that a mutant has to survive, run in forks of one pytest that has collected them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import signal
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain import artifact

from . import sources

TIMED_OUT = "(timed out)"


@dataclass(frozen=True)
class Job:
    """A mutant to run tests on.

    Attributes:
        name: of the mutant.
        place: the function that it is in: what killed others there is tried first.
        output: the file with what the compiler made of it; None for the contract as it is.
    """

    name: int
    place: str
    output: Path | None


def killers(
    paths: Sequence[str], jobs: Sequence[Job], workers: int, seconds: int, gas_only: bool = False
) -> tuple[dict[int, str], list[str]]:
    """What first failed of the tests in some paths, for each mutant that something failed for.

    Args:
        paths: what pytest is to collect.
        jobs: the mutants.
        workers: how many run at once.
        seconds: after how many a mutant counts as killed: it goes in circles.
        gas_only: only the tests that look at gas.

    Returns:
        The names of tests by the names of mutants; and the tests left out, as they fail for the
        contract as it is.
    """
    runner = _Runner(jobs, workers, seconds, gas_only)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--capture=no", "--no-header"]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*options, *paths], plugins=[runner])
    if runner.error is not None:
        raise runner.error
    return runner.killed, runner.left_out


class _Runner:
    def __init__(self, jobs: Sequence[Job], workers: int, seconds: int, gas_only: bool) -> None:
        self._jobs, self._workers, self._seconds = jobs, workers, seconds
        self._gas_only = gas_only
        self.killed: dict[int, str] = {}
        self.left_out: list[str] = []
        self.error: Exception | None = RuntimeError("pytest did not collect the tests")
        self._by_place: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        try:
            items = [item for item in session.items if not self._gas_only or _looks_at_gas(item)]
            # All that are not of use for the contract as it is: it must be good to begin with.
            told = self._forked(session, items)
            self.left_out = told["failed"]
            # What the tests import late is imported once for all forks.
            for name in told["modules"]:
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)
            items = [item for item in items if item.nodeid not in self.left_out]
            for job, failed in self._results(session, items):
                if failed:
                    self.killed[job.name] = failed
                    self._by_place[job.place][failed] += 1
            self.error = None
        except Exception as error:
            self.error = error
        return True

    def _forked(self, session: pytest.Session, items: list[Any]) -> Any:
        _, read = self._start(session, items, None, until_first=False)
        with os.fdopen(read) as pipe:
            told = pipe.read()
        os.wait()
        return json.loads(told)

    def _results(self, session: pytest.Session, items: list[Any]) -> Iterator[tuple[Job, str]]:
        running: dict[int, tuple[Job, int]] = {}
        waiting = list(reversed(self._jobs))
        while waiting or running:
            while waiting and len(running) < self._workers:
                job = waiting.pop()
                child, read = self._start(session, self._ordered(items, job), job.output, True)
                running[child] = job, read
            child, status = os.wait()
            job, read = running.pop(child)
            with os.fdopen(read) as pipe:
                told = pipe.read()
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
                yield job, TIMED_OUT
            elif told:
                yield job, (json.loads(told)["failed"] or [""])[0]
            else:  # a mutant must not count as killed for what is wrong here
                raise RuntimeError(f"the tests of mutant {job.name} ended without a word: {status}")

    def _ordered(self, items: list[Any], job: Job) -> list[Any]:
        likely = self._by_place[job.place]
        return sorted(items, key=lambda item: -likely[item.nodeid])

    def _start(
        self, session: pytest.Session, items: list[Any], output: Path | None, until_first: bool
    ) -> tuple[int, int]:
        read, write = os.pipe()
        child = os.fork()
        if child:
            os.close(write)
            return child, read
        os.close(read)
        try:
            if until_first:
                signal.alarm(self._seconds)
            if output is not None:
                put(sources.read(output))
            with tempfile.TemporaryDirectory() as folder:
                session.config.option.basetemp = folder
                for item, following in zip(items, [*items[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if until_first and self._failed:
                        break
            known = [name for name, module in sys.modules.items() if _is_of_others(name, module)]
            with os.fdopen(write, "w") as pipe:
                json.dump({"failed": self._failed, "modules": [] if until_first else known}, pipe)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)


def put(output: Any) -> None:
    """Makes this process take a mutant for the contract."""
    artifact._compile = lambda _folder: output
    artifact.cache_folder = lambda: Path(os.devnull)  # type: ignore[attr-defined]
    artifact.load_artifact.cache_clear()


def _is_of_others(name: str, module: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    return spec is not None and spec.name == name and not name.startswith(("tests", "__"))


def _looks_at_gas(item: Any) -> bool:
    return "gas_used" in inspect.getsource(item.function)
