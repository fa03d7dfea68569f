"""Commands of those who trade: producers, consumers, the aggregator, the metering operator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from eth_account import Account

from energy_chain.events import DeliveryConfirmed, RequestPosted
from tests.package.command_line import Outcome, Run, in_json, json_lines, printed, refused

HEADER = "meter,period_start,consumption_kwh,production_kwh"
DAY = "2016-08-15"
MISTYPED = [
    ("", "'' is not an energy: give a number and its unit, such as 1.5kWh or 1500Wh"),
    ("1500", "'1500' is not an energy"),
    ("1.5 MWh", "'1.5 MWh' is not an energy"),
    ("1,5kWh", "'1,5kWh' is not an energy"),
    ("0.0005kWh", "is 0.5 Wh: give whole watt-hours"),
    ("0Wh", "energy: value not 1..2**32-1 Wh"),
    ("4294968kWh", "energy: value not 1..2**32-1 Wh"),
]


def readings(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    """Two homes on a day of four readings: `sun` has 1,500 and 700 Wh to spare, `oven` needs."""
    path = tmp_path / "homes.csv"
    path.write_text(
        readings(
            *(
                f"{home},{DAY}T{hour:02}:00:00Z,{consumed},{produced}"
                for hour, rows in (
                    (0, (("oven", 0.4, 0), ("sun", 0, 0))),
                    (6, (("oven", 1.2, 0), ("sun", 0.5, 2.0))),
                    (12, (("oven", 0, 0), ("sun", 0.3, 1.0))),
                    (18, (("oven", 0.3, 0), ("sun", 0.1, 0))),
                )
                for home, consumed, produced in rows
            )
        )
    )
    return path


def events(outcome: Outcome) -> list[tuple[str, dict[str, Any]]]:
    """All events of all transactions that a command tells of in lines of JSON."""
    told = [event for line in json_lines(outcome) for event in line.get("events", ())]
    return [(event.pop("event"), event) for event in told]


def sends(neighbourhood: Any, count: int) -> Callable[[], bool]:
    """Whether so many transactions have been sent and answered for."""
    return lambda: neighbourhood.node.methods().count("eth_getTransactionReceipt") >= count


# ------------------------------------------------------------------ put


def test_a_producer_offers_surplus(run: Run, neighbourhood: Any) -> None:
    roof = neighbourhood.dev[3]
    out = printed(run("producer", "put", "1.5 kWh", "--account", "dev3"))
    assert f"Request 0: {roof} offers 1.500 kWh.\n" in out
    assert re.search(r"block \d+, [\d,]+ gas, 0x[0-9a-f]{64}\n$", out)
    told = in_json(run("producer", "put", "800Wh", "--account", "dev3", "--json"))
    assert told["events"] == [
        {"event": "RequestPosted", "meter": roof, "counter": 1, "energy_wh": 800}
    ]
    assert neighbourhood.by(3).request_energy(roof) == 2_300


def test_a_consumer_asks_for_energy(run: Run, neighbourhood: Any) -> None:
    bakery = neighbourhood.dev[4]
    out = printed(run("consumer", "put", "1.2kWh", "--account", "dev4"))
    assert f"Release 0: {bakery} needs 1.200 kWh.\n" in out
    told = in_json(run("consumer", "put", "1Wh", "--account", "dev4", "--json"))
    assert told["events"] == [
        {"event": "ReleasePosted", "meter": bakery, "counter": 1, "energy_wh": 1}
    ]
    assert neighbourhood.by(4).release_energy(bakery) == 1_201


@pytest.mark.parametrize("party", ["producer", "consumer"])
def test_the_operator_posts_for_a_meter_and_others_do_not(
    run: Run, neighbourhood: Any, party: str
) -> None:
    meter = neighbourhood.dev[3]
    told = in_json(run(party, "put", "1kWh", "--meter", "dev3", "--account", "dev2", "--json"))
    assert told["events"][-1]["meter"] == meter
    assert in_json(run(party, "put", "1kWh", "--meter", meter, "--account", "dev2", "--json"))
    refused(
        run(party, "put", "1kWh", "--meter", "dev3", "--account", "dev4"),
        "energy: sender is not operator",
        "or from the meter's own",
    )
    market = neighbourhood.by(0)
    assert market.request_energy(meter) + market.release_energy(meter) == 2_000


@pytest.mark.parametrize("party", ["producer", "consumer"])
@pytest.mark.parametrize(("energy", "fragment"), MISTYPED)
def test_an_energy_that_is_none_is_refused(
    run: Run, neighbourhood: Any, party: str, energy: str, fragment: str
) -> None:
    refused(run(party, "put", energy, "--account", "dev3"), fragment)
    assert neighbourhood.node.sent() == []


@pytest.mark.parametrize("party", ["producer", "consumer"])
def test_who_may_not_post_is_told_why(run: Run, neighbourhood: Any, party: str) -> None:
    put = party, "put", "1kWh"
    refused(run(*put), "nobody is given to sign: give --account NAME")
    refused(run(*put, "--account", "nobody"), "no account 'nobody'", "accounts new nobody")
    refused(run(*put, "--account", "dev5"), "energy: meter is not registered")
    refused(run(*put, "--account", "dev20"), "no development account 'dev20'")
    refused(run(*put, "--account", "dev3", "--meter", "nobody"), "no account 'nobody'")
    neighbourhood.by(0).pause()
    refused(run(*put, "--account", "dev3"), "energy: market is paused")
    assert neighbourhood.by(0).request_counter() + neighbourhood.by(0).release_counter() == 0


# ------------------------------------------------------------------ target, consume


def test_a_consumer_looks_up_its_producer(run: Run, neighbourhood: Any) -> None:
    sun, bakery = neighbourhood.dev[3:5]
    target = "consumer", "target", "--account", "dev4"
    assert printed(run(*target)) == f"{bakery} has no match yet.\n"
    assert in_json(run(*target, "--json")) == {
        "consumer": bakery,
        "producer": None,
        "energy_wh": 0,
    }
    neighbourhood.match(1_500, 1_200)
    assert printed(run(*target)) == f"{bakery} draws from {sun}; 1.200 kWh not consumed yet.\n"
    told = in_json(run("consumer", "target", "--meter", bakery, "--json"))
    assert told == {"consumer": bakery, "producer": sun, "energy_wh": 1_200}


def test_nobody_has_no_producer(run: Run, neighbourhood: Any) -> None:
    refused(run("consumer", "target"), "nobody is given to sign: give --account NAME")
    refused(run("consumer", "target", "--account", "nobody"), "no account 'nobody'")
    assert "has no match yet" in printed(run("consumer", "target", "--meter", neighbourhood.roof))


def test_a_consumer_draws_all_or_a_part(run: Run, neighbourhood: Any) -> None:
    bakery = neighbourhood.dev[4]
    neighbourhood.match(1_000, 1_000)
    neighbourhood.match(200, 200)
    consume = "consumer", "consume"
    out = printed(run(*consume, "0.05kWh", "--account", "dev4"))
    assert "Match 1: 0.050 kWh consumed.\n" in out
    assert events(run(*consume, "--account", "dev4", "--json")) == [
        ("DeliveryConfirmed", {"index": 0, "energy_wh": 1_000}),
        ("DeliveryConfirmed", {"index": 1, "energy_wh": 150}),
    ]
    assert printed(run(*consume, "--account", "dev4")) == (
        f"Nothing is matched for {bakery} that it has not consumed.\n"
    )
    assert printed(run(*consume, "--account", "dev4", "--json")) == ""
    assert [match.energy for match in neighbourhood.by(4).matches_of(bakery)] == [0, 0]


def test_what_a_consumer_cannot_draw_is_refused(run: Run, neighbourhood: Any) -> None:
    consume = "consumer", "consume", "1kWh"
    refused(run(*consume, "--account", "dev4"), "energy: consumer has no match")
    neighbourhood.match(200, 200)
    refused(run(*consume, "--account", "dev4"), "energy: value above what is left")
    refused(run(*consume, "--account", "dev3", "--meter", "dev4"), "energy: sender is not operator")
    refused(run("consumer", "consume", "1", "--account", "dev4"), "'1' is not an energy")
    refused(run("consumer", "consume"), "nobody is given to sign")
    assert neighbourhood.by(4).latest_match(neighbourhood.dev[4])[1] == 200


# ------------------------------------------------------------------ run, of a home


def test_a_producer_offers_its_surplus_of_each_period_until_ctrl_c(
    stopped_when: Callable[..., Outcome], neighbourhood: Any, homes: Path
) -> None:
    market, moved = neighbourhood.by(3), []

    def two_posted() -> bool:
        if market.request_counter() == 1 and not moved:
            neighbourhood.begin_next_period()
            moved.append(True)
        return market.request_counter() == 2

    command = "producer", "run", "--data", homes, "--home", "sun", "--account", "dev3", "--json"
    outcome = stopped_when(two_posted, *command, "--start", f"{DAY}T06:00")
    posted = [e["energy_wh"] for name, e in events(outcome) if name == RequestPosted.__name__]
    assert posted == [1_500, 700]
    assert json_lines(outcome)[-1] == {"posted": 2, "late": 0}


def test_a_home_begins_at_the_reading_that_is_asked_for(
    stopped_when: Callable[..., Outcome], neighbourhood: Any, homes: Path
) -> None:
    start = f"{DAY}T12:00"
    out = printed(
        stopped_when(
            sends(neighbourhood, 1),
            *("producer", "run", "--data", homes, "--start", start, "--account", "dev3"),
        )
    )
    assert f"{neighbourhood.dev[3]} offers 0.700 kWh.\n" in out
    assert out.endswith("\n1 request posted.\n")


def test_a_home_that_is_made_up_has_something_to_offer(
    stopped_when: Callable[..., Outcome], neighbourhood: Any
) -> None:
    command = "producer", "run", "--account", "dev2", "--meter", "dev3"
    out = printed(stopped_when(sends(neighbourhood, 1), *command))
    assert re.search(rf"Request 0: {neighbourhood.dev[3]} offers \d+\.\d{{3}} kWh\.\n", out)


@pytest.mark.parametrize("to_read", ["people", "programs"])
def test_a_consumer_asks_for_its_needs_and_draws_until_ctrl_c(
    stopped_when: Callable[..., Outcome], neighbourhood: Any, homes: Path, to_read: str
) -> None:
    market, matched = neighbourhood.by(4), []

    def drawn() -> bool:
        if market.releases_outstanding() and not matched:
            neighbourhood.by(3).post_request(neighbourhood.dev[3], 1_500)
            neighbourhood.by(1).match_pending(1)
            matched.append(True)
        return bool(matched) and market.match_at(0).energy == 0

    command = "consumer", "run", "--data", homes, "--home", "oven", "--account", "dev4"
    if to_read == "people":
        out = printed(stopped_when(drawn, *command))
        assert "Match 0: 0.400 kWh consumed." in out
        assert f"  drawn from {neighbourhood.dev[3]}\n" in out
        return
    outcome = stopped_when(drawn, *command, "--json")
    told = [e for e in events(outcome) if e[0] in ("ReleasePosted", DeliveryConfirmed.__name__)]
    assert told == [
        ("ReleasePosted", {"meter": neighbourhood.dev[4], "counter": 0, "energy_wh": 400}),
        ("DeliveryConfirmed", {"index": 0, "energy_wh": 400}),
    ]
    assert json_lines(outcome)[-1] == {"posted": 1, "late": 0}


@pytest.mark.parametrize("party", ["producer", "consumer"])
def test_a_home_that_has_nothing_to_post_is_refused(
    run: Run, neighbourhood: Any, homes: Path, tmp_path: Path, party: str
) -> None:
    dark = tmp_path / "dark.csv"
    dark.write_text(readings(*(f"a,{DAY}T{hour:02}:00:00Z,0,0" for hour in (0, 12))))
    given = party, "run", "--account", "dev3"
    refused(run(*given, "--data", dark), "no home has anything to post", "another --start")
    refused(
        run(*given, "--data", homes, "--home", "moon"), "no readings of 'moon'", "give one of oven"
    )
    refused(run(*given, "--data", homes, "--start", "2016-08-16T00:00"), DAY)
    refused(run(*given, "--data", tmp_path / "no.csv"), "no.csv cannot be read")
    assert neighbourhood.node.sent() == []


@pytest.mark.parametrize("party", ["producer", "consumer"])
def test_a_market_without_periods_is_no_place_to_run_in(
    run: Run, neighbourhood: Any, homes: Path, party: str
) -> None:
    assert in_json(run("deploy", "--period", "never", "--json"))["address"]
    sent = neighbourhood.node.sent()
    given = party, "run", "--data", homes, "--account", "dev3"
    refused(run(*given), "orders of this market never expire", "use put")
    assert neighbourhood.node.sent() == sent


@pytest.mark.parametrize("party", ["producer", "consumer"])
def test_a_home_that_is_refused_ends(run: Run, neighbourhood: Any, party: str) -> None:
    refused(run(party, "run", "--account", "dev5", "--json"), "energy: meter is not registered")
    refused(run(party, "run"), "nobody is given to sign")
    assert neighbourhood.by(0).request_counter() + neighbourhood.by(0).release_counter() == 0


@pytest.mark.parametrize("party", ["producer", "consumer"])
def test_a_home_waits_while_the_market_is_paused_or_the_node_is_away_and_says_so(
    stopped_when: Callable[..., Outcome],
    neighbourhood: Any,
    party: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__TOTAL_TIMEOUT", "0.2")
    owner, node = neighbourhood.by(0), neighbourhood.node
    owner.pause()
    node.asked.clear()

    def looked(times: int) -> bool:
        return bool(node.methods().count("eth_call") >= times)

    def steps() -> Iterator[bool]:
        while not looked(10):
            yield False
        before = node.methods().count("eth_call")
        node.replaced["eth_call"] = lambda _: HTTPStatus.SERVICE_UNAVAILABLE
        while not looked(before + 2):  # one may have been under way
            yield False
        until = monotonic() + 1  # more than all tries of a call take together
        while monotonic() < until:
            yield False
        node.replaced.clear()
        owner.unpause()
        while not owner.request_counter() + owner.release_counter():
            yield False
        yield True

    going = steps()

    def posted() -> bool:
        return next(going)

    code, out, err = stopped_when(posted, party, "run", "--account", "dev3", "--json")
    assert code == 0
    paused, away, again = err.splitlines()
    assert paused.startswith("waiting: energy: market is paused [incoming")
    assert away.startswith("waiting: no usable answer to eth_call from ganache")
    assert again == "waiting: no longer, the node answers again"
    assert json.loads(out.splitlines()[-1]) == {"posted": 1, "late": 0}
    assert len(node.sent()) == 2  # the order, and the end of the pause


# ------------------------------------------------------------------ aggregator


def test_the_aggregator_matches_once(run: Run, neighbourhood: Any) -> None:
    once = "aggregator", "run", "--once"
    assert printed(run(*once)) == "Nothing to match: one queue is empty.\n"
    assert in_json(run(*once, "--json"))["matches"] == 0
    neighbourhood.by(3).post_request(neighbourhood.dev[3], 1_500)
    neighbourhood.by(4).post_release(neighbourhood.dev[4], 1_200)
    out = printed(run(*once))
    assert re.fullmatch(r"\d\d:\d\d:\d\d UTC  1 match, 1\.200 kWh, [\d,]+ gas\n", out)
    neighbourhood.by(4).post_release(neighbourhood.dev[4], 100)
    told = in_json(run(*once, "--account", "dev9", "--json"))
    assert (told["matches"], told["energy_wh"], told["calls"]) == (1, 100, 1)
    assert told["gas"] > 21_000
    assert set(told) == {"time", "matches", "energy_wh", "calls", "gas"}
    assert neighbourhood.by(0).match_counter() == 2


def test_the_aggregator_matches_until_ctrl_c(
    stopped_when: Callable[..., Outcome], neighbourhood: Any
) -> None:
    def matched() -> Callable[[], bool]:
        before, posted = neighbourhood.by(0).match_counter(), []

        def is_so() -> bool:
            if not posted:
                neighbourhood.by(4).post_release(neighbourhood.dev[4], 1_200)
                neighbourhood.by(3).post_request(neighbourhood.dev[3], 1_200)
                posted.append(True)
            return bool(neighbourhood.by(0).match_counter() > before)

        return is_so

    run_it = "aggregator", "run", "--every", "0.1"
    out = printed(stopped_when(matched(), *run_it))
    waiting, match, total = out.splitlines()
    assert waiting == "Waiting for requests and releases; Ctrl-C ends it."
    assert "  1 match, 1.200 kWh, " in match
    assert match.endswith(" gas; taking over")
    assert total == "1 match, 1.200 kWh in all."
    match, total = json_lines(stopped_when(matched(), *run_it, "--json"))
    assert (match["matches"], match["energy_wh"], match["active"]) == (1, 1_200, True)
    assert total == {"total": {"matches": 1, "energy_wh": 1_200}}


def test_nothing_is_matched_while_the_market_is_paused(
    run: Run, stopped_when: Callable[..., Outcome], neighbourhood: Any
) -> None:
    owner = neighbourhood.by(0)
    neighbourhood.by(3).post_request(neighbourhood.dev[3], 1_500)
    neighbourhood.by(4).post_release(neighbourhood.dev[4], 1_200)
    owner.pause()
    refused(run("aggregator", "run", "--once"), "energy: market is paused")
    assert owner.match_counter() == 0
    looked = neighbourhood.node.methods

    def matched_when_it_goes_on() -> bool:
        if owner.paused() and looked().count("eth_call") > 20:
            owner.unpause()
        return bool(owner.match_counter())

    neighbourhood.node.asked.clear()
    goes_on = "aggregator", "run", "--every", "0.1", "--json"
    match, total = json_lines(stopped_when(matched_when_it_goes_on, *goes_on))
    assert match["energy_wh"] == total["total"]["energy_wh"] == 1_200


# ------------------------------------------------------------------ operator


def test_the_operator_posts_by_number_address_and_name(run: Run, neighbourhood: Any) -> None:
    out = printed(
        run(
            *("operator", "post", "--request", "1=1.5kWh", "--request", "dev4=500Wh"),
            *("--release", f"{neighbourhood.roof}=900Wh"),
        )
    )
    assert "2 requests from request 0 on: 2.000 kWh.\n" in out
    assert "1 release from release 0 on: 0.900 kWh.\n" in out
    market = neighbourhood.by(0)
    assert [market.request_energy(meter) for meter in neighbourhood.dev[3:5]] == [1_500, 500]
    assert market.release_energy(neighbourhood.roof) == 900


def test_the_operator_posts_from_a_file(run: Run, neighbourhood: Any, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        f"\ufeffmeter,kind,energy\r\n1,request,1.5kWh\r\n{neighbourhood.dev[4]},release,900Wh\r\n"
    )
    outcome = run("operator", "post", "--file", "orders.csv", "--request", "2=1Wh", "--json")
    orders = dict(events(outcome))
    assert orders["RequestsPosted"]["orders"] == [
        {"meter_number": 2, "energy_wh": 1},
        {"meter_number": 1, "energy_wh": 1_500},
    ]
    assert orders["ReleasesPosted"]["orders"] == [{"meter_number": 2, "energy_wh": 900}]
    assert neighbourhood.by(0).requests_outstanding() == 2


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        ("", "its first line must be meter,kind,energy"),
        ("meter,energy\n1,1kWh\n", "its first line must be meter,kind,energy"),
        ("meter,kind,energy\n", "no order is given"),
        ("meter,kind,energy\n1,request,1kWh\n1,request\n", "line 3: give 3 columns"),
        ("meter,kind,energy\n1,request,1kWh,2\n", "line 2: give 3 columns"),
        ("meter,kind,energy\n1,offer,1kWh\n", "line 2: kind 'offer' is neither request nor rel"),
        ("meter,kind,energy\n\n1,request,1\n", "line 3: '1' is not an energy"),
        ("meter,kind,energy\n1,request,0.1Wh\n", "line 2: '0.1Wh' is 0.1 Wh: give whole"),
        ('meter,kind,energy\n"1,request\n', "orders.csv cannot be read: "),
        ("meter,kind,energy\n1,request,0Wh\n", "energy: value not 1..2**32-1 Wh [request of 1]"),
        ("meter,kind,energy\nnobody,request,1Wh\n", "there is no account 'nobody'"),
        ("meter,kind,energy\ndev5,request,1Wh\n", "energy: meter is not registered [dev5]"),
        ("meter,kind,energy\n4,request,1Wh\n", "there is no meter 4: this market has registered 3"),
    ],
)
def test_orders_that_cannot_be_are_refused_before_any_is_posted(
    run: Run, neighbourhood: Any, tmp_path: Path, content: str, fragment: str
) -> None:
    (tmp_path / "orders.csv").write_text(content)
    refused(run("operator", "post", "--file", "orders.csv"), fragment)
    market = neighbourhood.by(0)
    assert (market.request_counter(), market.release_counter()) == (0, 0)


def test_orders_that_are_mistyped_are_refused(run: Run, neighbourhood: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"meter,kind,energy\n\xff,request,1Wh\n")
    post = "operator", "post"
    refused(run(*post), "no order is given: give --request, --release or --file")
    refused(run(*post, "--request", "1"), "--request 1: give METER=ENERGY, such as 1=1.5kWh")
    refused(run(*post, "--release", "=1kWh"), "--release =1kWh: give METER=ENERGY")
    refused(run(*post, "--release", "1=1"), "'1' is not an energy")
    refused(run(*post, "--file", "no.csv"), "no.csv cannot be read: ")
    refused(run(*post, "--file", "bad.csv"), "bad.csv cannot be read: ")
    refused(run(*post, "--request", "1=1kWh", "--account", "dev3"), "sender is not operator")
    neighbourhood.by(0).pause()
    refused(run(*post, "--request", "1=1kWh"), "energy: market is paused")
    assert neighbourhood.by(0).request_counter() == 0


# ------------------------------------------------------------------ run, of a neighbourhood


@pytest.mark.parametrize(
    "how",
    [(), ("--single",), ("--signed", "--relayer", "dev9")],
    ids=["packed", "single", "signed"],
)
def test_a_neighbourhood_is_replayed(
    run: Run, neighbourhood: Any, homes: Path, how: tuple[str, ...]
) -> None:
    told = in_json(run("run", "--data", homes, *how, "--json"))
    assert told["contract"] == neighbourhood.address
    assert told["energy_wh"] == {
        "offered": 2_200,
        "needed": 2_000,
        "matched": 1_200,
        "consumed": 1_200,
        "to_grid": 1_000,
        "from_grid": 800,
    }
    assert (told["homes"], told["periods"], told["matches"]) == (2, 4, 1)
    assert (told["requests"], told["releases"]) == (2, 4)
    assert [(each["home"], each["number"], each["address"]) for each in told["meters"]] == [
        ("oven", 1, neighbourhood.dev[3]),
        ("sun", 2, neighbourhood.dev[4]),
    ]
    # The file's homes are dev3 and dev4, in the order of their names.
    match = neighbourhood.by(0).match_at(0)
    assert [match.producer, match.consumer] == [neighbourhood.dev[4], neighbourhood.dev[3]]
    assert printed(run("audit")).startswith("Audit: clean. ")


def test_whoever_relays_signed_orders_pays_for_them_and_has_no_role(
    run: Run, neighbourhood: Any, homes: Path
) -> None:
    given = "run", "--data", homes, "--signed", "--relayer", "dev9"
    assert re.search(r"Gas of posting\W", printed(run(*given)))
    sent = [Account.recover_transaction(raw) for raw in neighbourhood.node.sent()]
    # The operator registers nobody, matches and confirms; the homes send nothing.
    assert set(sent) == {neighbourhood.dev[2], neighbourhood.dev[9]}
    assert sent.count(neighbourhood.dev[9]) == 4


def test_a_relay_that_cannot_be_is_refused(run: Run, neighbourhood: Any, homes: Path) -> None:
    signed = "run", "--data", homes, "--signed"
    refused(run(*signed, "--single"), "--single and --signed are two ways to trade: give one")
    refused(run("run", "--data", homes, "--relayer", "dev9"), "give --signed as well")
    refused(run(*signed, "--relayer", "dev4"), "sun and --relayer have the same account")
    refused(run(*signed, "--relayer", "nobody"), "there is no account 'nobody'")
    assert neighbourhood.node.sent() == []


@pytest.mark.usefixtures("pilot", "fast_keystore")
def test_elsewhere_somebody_has_to_be_given_to_relay(
    run: Run, neighbourhood: Any, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_PASSPHRASE", "of both")
    for name in ("oven", "sun"):
        in_json(run("accounts", "new", name, "--json"))
    refused(run("run", "--data", homes, "--signed", "--account", "oven"), "give --relayer NAME")
    assert neighbourhood.node.sent() == []


def test_a_replay_names_kwh(run: Run, neighbourhood: Any, homes: Path) -> None:
    out = printed(run("run", "--data", homes, "--homes", "1"))
    assert re.search(r"Needed\W+1\.900 kWh", out)
    assert f"1 home, {DAY}, 4 periods of 360 min" in out
    assert re.search(rf"oven\W+1\W+{neighbourhood.dev[3]}", out)
    assert "sun" not in out
    assert neighbourhood.by(0).release_counter() == 3


def test_a_replay_says_when_it_traded_by_the_time_that_bills_go_by(
    run: Run, neighbourhood: Any, homes: Path
) -> None:
    before = neighbourhood.by(0).latest()[1]
    span = in_json(run("run", "--data", homes, "--json"))["chain_time"]
    begin, end = (datetime.fromisoformat(span[each]).timestamp() for each in ("from", "to"))
    assert begin % 900 == 0
    assert before < begin <= before + 2 * 900
    assert end == neighbourhood.by(0).latest()[1] >= begin + 3 * 900
    run("record", "update")
    assert in_json(run("record", "bill", span["to"][:7], "--json"))["root"]
    out = printed(run("run", "--data", homes))
    assert "By the chain's time it traded from " in out


def test_of_many_homes_the_first_are_listed(
    run: Run, neighbourhood: Any, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert neighbourhood.address
    monkeypatch.setattr("energy_chain.cli.operator.SHOWN_METERS", 1)
    out = printed(run("run", "--data", homes))
    assert "And 1 more: --json lists all." in out


def test_homes_are_the_accounts_that_a_file_says(
    run: Run, neighbourhood: Any, homes: Path, tmp_path: Path
) -> None:
    (tmp_path / "meters.csv").write_text(
        f"meter,account\noven,dev8\nsun,{neighbourhood.dev[7]}\nother,whoever\n"
    )
    given = "run", "--data", homes, "--meters", "meters.csv", "--single", "--json"
    assert in_json(run(*given))["matches"] == 1
    match = neighbourhood.by(0).match_at(0)
    assert [match.producer, match.consumer] == neighbourhood.dev[7:9]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        ("meter,account\noven,dev3\n", "meters.csv has no account of sun: add a line of each"),
        ("meter,account\noven,dev3\nsun,dev3\n", "oven and sun have the same account"),
        ("meter,account\noven,dev3\nsun,nobody\n", "there is no account 'nobody'"),
        ("meter,account\noven,dev3\nsun\n", "meters.csv, line 3: give 2 columns"),
        ("home,account\noven,dev3\n", "meters.csv: its first line must be meter,account"),
    ],
)
def test_homes_without_accounts_of_their_own_are_refused(
    run: Run, neighbourhood: Any, homes: Path, tmp_path: Path, content: str, fragment: str
) -> None:
    (tmp_path / "meters.csv").write_text(content)
    refused(run("run", "--data", homes, "--meters", "meters.csv"), fragment)
    assert neighbourhood.node.sent() == []


def test_a_replay_that_cannot_be_is_refused(run: Run, neighbourhood: Any, homes: Path) -> None:
    refused(
        run("run", "--homes", "18", "--single"),
        "18 homes are more than there are development accounts",
        "give --homes 17, --meters FILE, or leave out --single and --signed",
    )
    refused(run("run", "--data", homes, "--meters", "no.csv"), "no.csv cannot be read: ")
    refused(run("run", "--data", homes, "--account", "dev9", "--json"), "sender is not operator")
    refused(run("run", "--account", "dev9"), "energy: sender may not register")
    neighbourhood.by(0).pause()
    refused(run("run", "--data", homes, "--json"), "energy: market is paused")
    assert neighbourhood.by(0).request_counter() == 0


@pytest.mark.usefixtures("pilot")
def test_elsewhere_homes_are_accounts_of_the_same_name(
    run: Run, neighbourhood: Any, homes: Path
) -> None:
    refused(run("run", "--data", homes), "there is no account 'oven'")
    assert neighbourhood.node.sent() == []
