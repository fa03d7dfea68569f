"""One embedded chain for a session, its roles, and markets on it that each test finds as new.

Heavy imports wait until a test asks for the chain: every worker pays for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import settings

from tests import brownie
from tests.contract import coverage

# The same examples in every run; a test says itself how many.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.load_profile("same")

KEPT = ("ENERGY_CHAIN_BROWSER", "ENERGY_CHAIN_CACHE", "ENERGY_CHAIN_NODES")
"""Environment variables that say where things are, and change no behaviour."""
GENESIS_TIME = 900 * 1_888_889
"""The start of a period of 900 s, in November 2023."""
PERIOD_LENGTH = 900


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's: no settings, no keys, no deployments. Returns the home folder."""
    for name in os.environ:
        if name.startswith("ENERGY_CHAIN_") and name not in KEPT:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("ENERGY_CHAIN_HOME", str(home))
    monkeypatch.chdir(tmp_path)  # where a settings file would be looked for
    return home


# ------------------------------------------------------------------ the chain


@pytest.fixture(scope="session")
def chain() -> brownie.Chain:
    return brownie.Chain(accounts=20, genesis_time=GENESIS_TIME)


@pytest.fixture(scope="session")
def accounts(chain: brownie.Chain) -> list[str]:
    return chain.accounts


@pytest.fixture(scope="session")
def EnergyContract(chain: brownie.Chain) -> brownie.Container:
    return brownie.Container(chain)


@pytest.fixture(scope="module")
def module_isolation(chain: brownie.Chain) -> Iterator[None]:
    """What a module deploys is gone after it, and the clock goes back."""
    snapshot = chain.snapshot()
    yield
    chain.revert(snapshot)


@pytest.fixture(autouse=True)
def isolation(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test does is undone after it. Costs nothing where no chain is used."""
    if "chain" not in request.fixturenames:
        yield
        return
    chain: brownie.Chain = request.getfixturevalue("chain")
    snapshot = chain.snapshot()
    yield
    chain.revert(snapshot)


# ------------------------------------------------------------------ the roles


@pytest.fixture(scope="session")
def owner(accounts: list[str]) -> str:
    return accounts[0]


@pytest.fixture(scope="session")
def aggregator(accounts: list[str]) -> str:
    return accounts[1]


@pytest.fixture(scope="session")
def operator(accounts: list[str]) -> str:
    """The metering operator."""
    return accounts[2]


@pytest.fixture(scope="session")
def stranger(accounts: list[str]) -> str:
    return accounts[3]


@pytest.fixture(scope="session")
def newcomer(accounts: list[str]) -> str:
    """An account that will be given a role, or a meter that will be registered."""
    return accounts[4]


@pytest.fixture(scope="session")
def meters(accounts: list[str]) -> list[str]:
    """The registered meters, eight: meter number n is `meters[n - 1]`."""
    return accounts[5:13]


@pytest.fixture(scope="session")
def producer(meters: list[str]) -> str:
    """Meter 1."""
    return meters[0]


@pytest.fixture(scope="session")
def consumer(meters: list[str]) -> str:
    """Meter 2."""
    return meters[1]


# ------------------------------------------------------------------ the markets


@pytest.fixture(scope="module")
def deploy(
    module_isolation: None,  # noqa: ARG001 (comes first)
    EnergyContract: brownie.Container,
    owner: str,
    aggregator: str,
    operator: str,
    meters: list[str],
) -> Any:
    """Deploys a market with the eight meters registered."""

    def deploy(period_length: int) -> brownie.Contract:
        market = EnergyContract.deploy(aggregator, operator, period_length, {"from": owner})
        market.register_meters(meters, {"from": operator})
        return market

    return deploy


@pytest.fixture(scope="module")
def market(deploy: Any) -> brownie.Contract:
    """A market whose orders never expire."""
    return deploy(0)


@pytest.fixture(scope="module")
def periodic_market(deploy: Any) -> brownie.Contract:
    """A market with delivery periods of 900 s, in the first seconds of one."""
    return deploy(PERIOD_LENGTH)


# ------------------------------------------------------------------ gas


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gas", action="store_true", help="print the gas used by each function")
    parser.addoption(
        "--contract-coverage",
        action="store_true",
        help="fail unless every function succeeded, and was refused for each reason it has",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[GAS] = {}
    config.stash[REFUSED] = set()


GAS: pytest.StashKey[dict[str, list[int]]] = pytest.StashKey()
REFUSED: pytest.StashKey[set[tuple[str, str]]] = pytest.StashKey()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    _merge(node.config, output.get("gas", {}), output.get("refused", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    workeroutput = getattr(session.config, "workeroutput", None)
    if workeroutput is not None:
        workeroutput["gas"] = dict(brownie.gas)
        workeroutput["refused"] = list(brownie.refused)
        return
    _merge(session.config, brownie.gas, brownie.refused)
    if session.config.getoption("--contract-coverage") and _not_covered(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--contract-coverage"):
        terminalreporter.section("contract")
        for line in _not_covered(config):
            terminalreporter.write_line(line, red=True)
        functions, refusals = len(coverage.functions()), len(coverage.reachable())
        terminalreporter.write_line(
            f"{functions} functions that change something, with {refusals} refusals, "
            f"{len(coverage.UNREACHABLE)} out of reach; not tested: {len(_not_covered(config))}"
        )
    if not config.getoption("--gas"):
        return
    terminalreporter.section("gas")
    terminalreporter.write_line(f"{'function':26}{'calls':>7}{'min':>12}{'median':>12}{'max':>12}")
    for name, used in sorted(config.stash[GAS].items()):
        terminalreporter.write_line(
            f"{name:26}{len(used):7,}{min(used):12,}{round(median(used)):12,}{max(used):12,}"
        )


def _merge(config: pytest.Config, gas: dict[str, list[int]], refused: Any) -> None:
    for name, used in gas.items():
        config.stash[GAS].setdefault(name, []).extend(used)
    config.stash[REFUSED].update(tuple(pair) for pair in refused)


def _not_covered(config: pytest.Config) -> list[str]:
    return coverage.missing(config.stash[GAS], config.stash[REFUSED])
