"""Communities that trade side by side: the same wherever they run."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from energy_chain.errors import ChainError, InvalidInput
from energy_chain.meters import generate
from energy_chain.plots import draw_simulation
from energy_chain.replay import Trade
from energy_chain.simulation import (
    DAYS_AT_ONCE,
    Community,
    MemoryMarket,
    Outcome,
    by_size,
    simulate,
    trade_community,
)

from .command_line import Run, printed, refused

DAY = date(2026, 6, 21)
HOUR = timedelta(hours=1)
JOBS = [Community(number, 4, DAY, days=2, period=HOUR) for number in range(3)]


@pytest.fixture(scope="module")
def one_by_one() -> list[Outcome]:
    return simulate(JOBS, workers=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask cluster of two workers on this machine, each a process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as found:
        yield found


def test_communities_differ_and_come_in_their_order(one_by_one: list[Outcome]) -> None:
    assert [outcome.community for outcome in one_by_one] == JOBS
    assert len({outcome.trade.matched for outcome in one_by_one}) == 3
    assert all(outcome.trade.matched > 0 for outcome in one_by_one)


def test_processes_side_by_side_give_the_same(one_by_one: list[Outcome]) -> None:
    seen: list[Outcome] = []
    assert simulate(JOBS, workers=2, progress=seen.append) == one_by_one
    assert sorted(outcome.community.number for outcome in seen) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_dask_cluster_gives_the_same(cluster: Any, one_by_one: list[Outcome]) -> None:
    assert simulate(JOBS, dask=cluster.scheduler_address) == one_by_one


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_fault_on_a_dask_cluster_is_told_as_at_home(cluster: Any) -> None:
    with pytest.raises(InvalidInput, match="1025 homes are too many for one contract"):
        simulate([Community(0, 1025, DAY)], dask=cluster.scheduler_address)


def test_a_cluster_that_does_not_answer_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ChainError, match=f"no Dask scheduler answers at {address}"):
            simulate(JOBS, dask=address)


def test_days_that_are_read_apart_trade_as_if_they_were_one() -> None:
    job = Community(7, 5, DAY, days=DAYS_AT_ONCE + 1, seed=3, period=HOUR)
    whole = generate(
        homes=5, first=DAY, days=job.days, period=HOUR, seed=job.seed * 1_000_003 + job.number
    )
    assert trade_community(job).trade == MemoryMarket(HOUR).trade(whole)


def test_what_is_offered_is_matched_or_left_to_the_grid(one_by_one: list[Outcome]) -> None:
    for outcome in one_by_one:
        trade = outcome.trade
        assert trade.consumed == trade.matched <= min(trade.offered, trade.needed)
        assert trade.to_grid + trade.matched == trade.offered


def test_communities_are_taken_together_by_their_size() -> None:
    def outcome(number: int, homes: int, matched: int) -> Outcome:
        trade = Trade(homes=homes, needed=100, matched=matched)
        return Outcome(Community(number, homes, DAY), trade)

    small, large = by_size([outcome(1, 9, 30), outcome(2, 3, 50), outcome(3, 3, 10)])
    assert (small.homes, small.communities, small.home_days) == (3, 2, 6)
    assert (small.local_shares, small.trade.matched) == ((0.1, 0.5), 60)
    assert (large.homes, large.communities, large.local_shares) == (9, 1, (0.3,))


def test_the_command_tells_sizes_and_communities_and_draws_them(tmp_path: Path, run: Run) -> None:
    picture = tmp_path / "sizes.svg"
    told = run(
        *("simulate", "--homes", "2,6", "--communities", "2", "--days", "1", "--workers", "1"),
        *("--plot", str(picture), "--json"),
    )
    result = json.loads(told.out)
    assert [size["homes"] for size in result["sizes"]] == [2, 6]
    assert len(result["communities"]) == 4
    sums = sum(each["matched_wh"] for each in result["communities"] if each["homes"] == 6)
    assert result["sizes"][1]["energy_wh"]["matched"] == sums
    assert "Need met locally" in picture.read_text()
    assert result["plot"] == str(picture)
    assert result["sizes"][0]["median_local_share"] == pytest.approx(
        sum(result["sizes"][0]["local_shares"]) / 2
    )


def of_size(homes: int, *matched: int) -> list[Outcome]:
    return [
        Outcome(
            Community(number, homes, DAY),
            Trade(homes=homes, needed=100, offered=50, matched=each, posting_gas=1_000),
        )
        for number, each in enumerate(matched)
    ]


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle() -> None:
    [size] = by_size(of_size(3, 10, 20, 40, 50))
    assert size.median_local_share == pytest.approx(0.3)
    [share] = draw_simulation([size]).axes[0].lines
    assert list(share.get_ydata()) == [pytest.approx(30)]


def test_a_picture_of_one_size_shows_its_spread_and_room_above_its_points() -> None:
    figure = draw_simulation(by_size(of_size(3, 10, 20, 40)))
    [spread] = figure.axes[0].collections
    assert spread.get_segments()[0][:, 1].tolist() == [10, 40]
    for axes in figure.axes:
        assert axes.get_ylim() == (0, pytest.approx(1.1 * axes.dataLim.y1))


def test_communities_without_a_need_can_be_drawn() -> None:
    nothing = Outcome(Community(0, 2, DAY), Trade(homes=2))
    figure = draw_simulation(by_size([nothing]))
    assert figure.axes[0].get_ylim() == (0, 1)
    assert by_size([nothing])[0].median_local_share is None


def test_a_file_of_measured_homes_is_a_community(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "homes.csv"
    lines = [
        f"{meter},2026-06-21T{hour:02}:00Z,{used},{made}"
        for hour in range(24)
        for meter, used, made in (("roof", "0.1", "0.6"), ("flat", "0.3", "0"))
    ]
    file.write_text("\n".join(["meter,period_start,consumption_kwh,production_kwh", *lines]))
    told = run("simulate", "--data", str(file), "--days", "1", "--json")
    [community] = json.loads(told.out)["communities"]
    assert (community["homes"], community["matched_wh"]) == (2, 24 * 300)
    table = run("simulate", "--data", str(file), "--days", "1").out
    assert "100.0%" in table
    assert "per home and day" in table


def test_so_many_homes_of_a_file_are_taken_as_are_wanted(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "homes.csv"
    lines = [
        f"{meter},2026-06-21T{hour:02}:00Z,0.1,0.2" for hour in range(24) for meter in ("a", "b")
    ]
    file.write_text("\n".join(["meter,period_start,consumption_kwh,production_kwh", *lines]))
    given = "simulate", "--data", str(file), "--days", "1", "--workers", "1"
    told = json.loads(run(*given, "--homes", "1,2", "--json").out)
    assert [each["homes"] for each in told["communities"]] == [1, 2]
    refused(run(*given, "--homes", "3"), "--homes 3: ", "homes.csv has 2; give at most as many")


def test_a_picture_that_was_drawn_is_named(tmp_path: Path, run: Run) -> None:
    picture = tmp_path / "size.png"
    given = "simulate", "--homes", "2", "--communities", "1", "--days", "1", "--plot", str(picture)
    assert f"{picture} written." in printed(run(*given))


@pytest.mark.parametrize("homes", ["", "ten", "0", "5,-1"])
def test_sizes_that_are_none_are_refused(homes: str, run: Run) -> None:
    told = run("simulate", "--homes", homes)
    assert told.code == 2
    assert "give one number of homes or several" in told.err
