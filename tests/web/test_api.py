"""The page's API: every number is that of the record, and is traced to its block."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from energy_chain.record.bill import read_bill
from energy_chain.record.queries import matches_of, orders_of, totals_of, usage_of
from energy_chain.web.app import create_app
from energy_chain.web.schemas import MOST_BUCKETS
from tests.property.markets import METERS, OWNER, Call
from tests.record.chains import FakeChain
from tests.record.test_indexer import BATCHES, DRAW, MATCH, NEED, POST, TRADE, WAIT
from tests.record.test_sums import GAS, PRICE
from tests.web.conftest import Page

Opened = Callable[[FakeChain], Page]
PAUSE, UNPAUSE = Call(OWNER, "pause", ()), Call(OWNER, "unpause", ())


def pages(page: Page, path: str, what: str, **query: Any) -> list[Any]:
    """All rows of a list, two at a time."""
    rows: list[Any] = []
    after: dict[str, str] = {}
    while True:
        told = page.get(path, limit=2, **after, **query)
        assert len(told[what]) <= 2
        rows += told[what]
        if told["next"] is None:
            return rows
        after = {"after": told["next"]}


# ------------------------------------------------------------------ markets


def test_the_markets_of_the_record_are_listed_with_the_block_they_are_of(page: Page) -> None:
    (listed,) = page.client.get("/api/markets").json()["markets"]
    (market,) = page.record.markets()
    assert (listed["address"], listed["chain_id"]) == (market.address, 1)
    assert listed["as_of"]["block"] == market.cursor_block
    assert listed["as_of"]["hash"] == page.chain.header(market.cursor_block).hash
    assert listed["began"] == "2020-09-13T12:30:01Z"


def test_a_market_tells_its_totals_and_what_waits(page: Page) -> None:
    told = page.get()
    totals = totals_of(page.record, page.record.markets()[0])
    assert {name: told["totals"][name] for name in ("requests", "releases", "matches")} == {
        "requests": totals.requests,
        "releases": totals.releases,
        "matches": totals.matches,
    }
    assert told["totals"]["matched_wh"] == totals.matched
    assert told["totals"]["transactions"] == totals.transactions
    assert told["totals"]["cost_wei"] == str(totals.wei) == str(totals.transactions * GAS * PRICE)
    assert told["totals"]["self_sufficiency"] == totals.matched / totals.needed
    assert told["totals"]["self_consumption"] == totals.matched / totals.offered
    assert told["totals"]["gas_per_kwh"] == round(totals.gas * 1000 / totals.matched)
    assert (told["meters"], told["retired"], told["paused"]) == (5, 1, False)
    # Of the requests of 5 and 4 Wh in the last period 7 Wh were needed, then came 5 Wh more.
    assert told["queues"] == {
        "requests": {"outstanding": 2, "wh": 7},
        "releases": {"outstanding": 0, "wh": 0},
    }


def test_what_waits_is_nothing_once_the_period_is_over(page: Page) -> None:
    page.update(WAIT)
    assert page.get()["queues"]["requests"] == {"outstanding": 0, "wh": 0}


def test_what_waits_is_what_the_contract_says_to_be_outstanding(opened: Opened) -> None:
    page = opened(FakeChain())
    for call in [POST, NEED, POST, MATCH, NEED, NEED, MATCH, POST, WAIT, NEED, POST, MATCH, NEED]:
        page.update(call)
        offered, needed = page.chain.ledger.pending_energy()
        queues = page.get()["queues"]
        outstanding = page.chain.ledger.requests_outstanding()
        if call != WAIT:  # to the contract it is over with the next call
            assert queues["requests"] == {"outstanding": outstanding, "wh": offered}
            assert queues["releases"]["wh"] == needed


def test_a_pause_is_told_and_its_end(page: Page) -> None:
    page.update(PAUSE)
    assert page.get()["paused"]
    page.update(UNPAUSE)
    assert not page.get()["paused"]


def test_a_market_of_which_nothing_was_read_is_empty(opened: Opened) -> None:
    page = opened(FakeChain())
    from energy_chain.record.indexer import Indexer

    Indexer(page.record, FakeChain(contract="0x" + "1" * 40))
    page_of_other = f"/api/markets/0x{'1' * 40}"
    told = page.client.get(page_of_other).json()
    assert told["as_of"] == {"block": None, "hash": None, "time": None}
    assert (told["began"], told["current_period"], told["totals"]["matches"]) == (None, None, 0)
    assert page.client.get(f"{page_of_other}/usage").json()["buckets"] == []
    assert page.client.get(f"{page_of_other}/flow").json()["producers"] == []
    assert page.client.get(f"{page_of_other}/transactions").json()["transactions"] == []


# ------------------------------------------------------------------ usage


@pytest.mark.parametrize("by", ["hour", "day"])
def test_usage_has_every_bucket_and_they_come_to_the_totals(page: Page, by: str) -> None:
    told = page.get("/usage", by=by, timezone="Europe/Berlin")
    assert len(told["buckets"]) == {"hour": 961, "day": 41}[by]
    for name in ("requests", "matched_wh", "needed_wh", "drawn_wh", "gas", "transactions"):
        assert sum(bucket[name] for bucket in told["buckets"]) == told["totals"][name] > 0
    for one, other in zip(told["buckets"], told["buckets"][1:], strict=False):
        assert one["end"] == other["start"]


def test_usage_of_a_range_is_of_the_periods_that_begin_in_it(page: Page) -> None:
    query = {"from": "2020-09-13T14:31:00+02:00", "to": "2020-09-13T13:00:00Z", "by": "period"}
    told = page.get("/usage", **query)
    assert [bucket["matches"] for bucket in told["buckets"]] == [1]
    assert told["range"] == {"start": "2020-09-13T12:45:00Z", "end": "2020-09-13T13:00:00Z"}
    assert told["totals"]["matched_wh"] == 3


@pytest.mark.parametrize(
    "beyond",
    [
        {"from": "1900-01-01T00:00:00Z", "to": "1950-01-01T00:00:00Z"},
        {"from": "2090-01-01T00:00:00Z", "to": "9999-12-31T00:00:00Z"},
    ],
)
def test_a_range_beyond_the_record_is_empty(page: Page, beyond: dict[str, str]) -> None:
    told = page.get("/usage", **beyond)
    assert told["buckets"] == []
    assert told["totals"]["self_sufficiency"] is None
    assert page.get("/orders", **beyond)["orders"] == []
    assert page.get("/transactions", **beyond)["transactions"] == []


# ------------------------------------------------------------------ meters


def test_meters_are_listed_with_what_they_did(page: Page) -> None:
    rows = pages(page, "/meters", "meters")
    (market,) = page.record.markets()
    whole = {usage.meter: usage for usage in usage_of(page.record, market, together=10**6)}
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["retired"] for row in rows] == [False] * 4 + [True]
    for row in rows[:4]:
        usage = whole[row["number"]]
        assert (row["offered_wh"], row["needed_wh"]) == (usage.offered, usage.needed)
        assert (row["sold_wh"], row["bought_wh"]) == (usage.sold, usage.bought)
        assert row["drawn_wh"] == usage.drawn
        assert row["offered_wh"] == row["sold_wh"] + row["pending_offered_wh"] + row["to_grid_wh"]
        assert row["needed_wh"] == (
            row["bought_wh"] + row["pending_needed_wh"] + row["from_grid_wh"]
        )
    assert rows[0]["pending_offered_wh"] == 5
    assert rows[2]["pending_offered_wh"] == 2
    assert rows[4]["offered_wh"] == 0


def test_what_is_pending_is_the_grids_once_its_period_is_over(page: Page) -> None:
    before = page.get("/meters/1")["totals"]
    page.update(WAIT)
    after = page.get("/meters/1")["totals"]
    assert (before["pending_offered_wh"], after["pending_offered_wh"]) == (5, 0)
    assert after["to_grid_wh"] == before["to_grid_wh"] + 5


def test_a_meter_is_told_with_its_usage_and_its_partners(page: Page) -> None:
    told = page.get("/meters/2")
    assert told["address"] == METERS[1]
    assert told["registered"] == "2020-09-13T12:30:02Z"
    usage = page.get("/meters/2/usage", by="hour")
    assert usage["totals"] == told["totals"]
    for name in ("bought_wh", "needed_wh", "drawn_wh", "matches", "from_grid_wh"):
        assert sum(bucket[name] for bucket in usage["buckets"]) == told["totals"][name]
    partners = page.get("/meters/2/partners")["partners"]
    assert sum(partner["bought_wh"] for partner in partners) == told["totals"]["bought_wh"]
    assert [partner["meter"] for partner in partners] == [1, 3]
    assert partners[0]["address"] == METERS[0]


def test_a_home_is_no_partner_of_its_own(opened: Opened) -> None:
    page = opened(FakeChain([POST, Call(METERS[0], "post_release", (METERS[0], 2)), MATCH]))
    assert page.get("/meters/1/partners")["partners"] == []
    assert page.get("/meters/1")["totals"]["own_wh"] == 2


def test_a_bill_is_the_one_that_the_command_line_makes(page: Page, tmp_path: Path) -> None:
    query = {"month": "2020-09", "timezone": "Europe/Berlin"}
    told = page.get("/meters/2/bill", **query)
    (tmp_path / "bill.json").write_text(json.dumps(told))
    bill = read_bill(tmp_path / "bill.json")
    assert bill.energy_wh.bought == 9
    assert bill.as_of.block == page.get()["as_of"]["block"]
    answer = page.client.get(f"{page.market}/meters/2/bill.html", params=query)
    assert "September 2020" in answer.text
    assert "style-src 'unsafe-inline'" in answer.headers["content-security-policy"]


# ------------------------------------------------------------------ orders, matches, transactions


@pytest.mark.parametrize("order", ["latest", "oldest"])
def test_lists_have_every_row_once_in_their_order(page: Page, order: str) -> None:
    (market,) = page.record.markets()
    orders = [
        (each.period, int(each.kind), each.counter, each.energy, each.matched, each.state)
        for each in orders_of(page.record, market)
    ]
    orders.sort(reverse=order == "latest")
    assert [
        (
            *(row["period"], ["request", "release"].index(row["kind"]), row["counter"]),
            *(row["energy_wh"], row["matched_wh"], row["state"]),
        )
        for row in pages(page, "/orders", "orders", order=order)
    ] == orders
    matches = [(each.index, each.energy, each.consumed) for each in matches_of(page.record, market)]
    matches.sort(reverse=order == "latest")
    rows = pages(page, "/matches", "matches", order=order)
    assert [(row["index"], row["energy_wh"], row["drawn_wh"]) for row in rows] == matches
    rows = pages(page, "/transactions", "transactions", order=order)
    blocks = [row["block"] for row in rows]
    assert blocks == sorted(blocks, reverse=order == "latest")
    assert len(rows) == totals_of(page.record, market).transactions
    numbers = [row["number"] for row in pages(page, "/periods", "periods", order=order)]
    assert len(numbers) == len(set(numbers)) == 3
    assert numbers == sorted(numbers, reverse=order == "latest")


def test_lists_are_of_a_meter_a_kind_a_period_and_a_time(page: Page) -> None:
    assert {row["meter"] for row in pages(page, "/orders", "orders", meter=3)} == {3}
    assert {row["kind"] for row in pages(page, "/orders", "orders", kind="release")} == {"release"}
    of_two = pages(page, "/matches", "matches", meter=2)
    assert len(of_two) == 5
    assert all(2 in (row["producer"], row["consumer"]) for row in of_two)
    period = of_two[-1]["period"]
    rows = pages(page, "/matches", "matches", meter=2, period=period)
    assert rows == [row for row in of_two if row["period"] == period]
    assert {row["period"] for row in pages(page, "/orders", "orders", period=period)} == {period}
    until = {"to": "2020-09-13T12:45:00Z"}
    assert pages(page, "/matches", "matches", meter=2, **until) == rows
    first = pages(page, "/transactions", "transactions", **until)
    later = pages(page, "/transactions", "transactions", **{"from": until["to"]})
    assert later + first == pages(page, "/transactions", "transactions")
    assert first[-1]["block"] == 0


def test_every_row_leads_to_the_transaction_behind_it(page: Page) -> None:
    transactions = {row["hash"]: row for row in pages(page, "/transactions", "transactions")}
    for what in ("orders", "matches", "periods"):
        for row in pages(page, f"/{what}", what):
            behind = transactions[row["transaction"]]
            assert (behind["block"], behind["time"]) == (row["block"], row["time"])
    assert all(row["cost_wei"] == str(GAS * PRICE) for row in transactions.values())


def test_a_match_is_told_with_its_orders_and_what_was_confirmed(page: Page) -> None:
    told = page.get("/matches/1")
    assert (told["match"]["energy_wh"], told["match"]["drawn_wh"]) == (1, 1)
    assert told["request"]["meter"] == told["match"]["producer"] == 3
    assert told["release"]["meter"] == told["match"]["consumer"] == 2
    assert [each["energy_wh"] for each in told["confirmations"]] == [1]
    (confirmed,) = told["confirmations"]
    assert confirmed["block"] > told["match"]["block"]


def test_a_transaction_is_told_with_its_events(page: Page) -> None:
    match = page.get("/matches/0")["match"]
    told = page.get(f"/transactions/{match['transaction'].upper().replace('X', 'x')}")
    (event,) = told["events"]
    assert (event["name"], told["transaction"]["events"]) == ("Matched", ["Matched"])
    assert event["arguments"]["fills"][0]["producer_number"] == 1
    assert event["arguments"]["fills"][0]["producer"] == METERS[0]
    assert event["said"] == "3 matches from match 0 on: 0.007 kWh."


def test_a_period_is_told_with_its_sums(page: Page) -> None:
    number = page.get("/matches/3")["match"]["period"]
    told = page.get(f"/periods/{number}")["period"]
    assert (told["number"], told["matches"], told["matched_wh"], told["drawn_wh"]) == (
        *(number, 1, 3),
        2,
    )
    assert told["expired_requests"] == 1


# ------------------------------------------------------------------ flow


def test_the_flow_is_that_of_the_latest_period_with_orders(page: Page) -> None:
    told = page.get("/flow")
    assert told["period"] == page.get()["current_period"]
    assert [(each["meter"], each["sold_wh"], each["pending_wh"]) for each in told["producers"]] == [
        (1, 5, 5),
        (3, 2, 2),
    ]
    assert [(each["meter"], each["bought_wh"]) for each in told["consumers"]] == [(2, 6), (4, 1)]
    assert (told["matched_wh"], told["pending_requests_wh"], told["to_grid_wh"]) == (7, 7, 0)


def test_the_flow_of_a_range_shows_so_many_homes_and_the_rest_as_one(page: Page) -> None:
    told = page.get("/flow", to="2020-09-20T00:00:00Z", top=1)
    assert told["period"] is None
    assert [(each["meter"], each["homes"]) for each in told["producers"]] == [(1, 1), (None, 1)]
    assert sum(each["sold_wh"] for each in told["producers"]) == told["matched_wh"] == 10
    assert sum(each["bought_wh"] for each in told["consumers"]) == 10
    assert told["to_grid_wh"] == sum(each["to_grid_wh"] for each in told["producers"]) == 4
    assert told["pending_requests_wh"] == 0


# ------------------------------------------------------------------ orders that never expire


def test_a_market_whose_orders_never_expire_has_hours_and_no_periods(opened: Opened) -> None:
    page = opened(FakeChain([*TRADE, WAIT, POST, *BATCHES[:3]], period_length=0))
    told = page.get()
    assert (told["current_period"], told["period_length"]) == (None, 0)
    offered, _ = page.chain.ledger.pending_energy()
    assert told["queues"]["requests"]["wh"] == offered
    flow = page.get("/flow")
    assert (flow["period"], flow["to_grid_wh"]) == (None, 0)
    assert flow["pending_requests_wh"] == offered
    assert page.get("/orders")["orders"][0]["period_start"] is None
    assert len(page.get("/orders", period=0)["orders"]) == len(page.get("/orders")["orders"]) > 3
    assert page.get("/orders", period=1)["orders"] == []
    assert page.get("/usage", by="hour")["totals"] == told["totals"]
    answer = page.client.get(f"{page.market}/usage", params={"by": "period"})
    assert answer.status_code == 422
    assert answer.json()["remedy"] == "ask by=hour or by=day"


# ------------------------------------------------------------------ what is not answered


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/markets/0x" + "1" * 40, 404, "no such market"),
        ("/api/markets/0x12", 422, "address"),
        ("{}/meters/6", 404, "no meter 6"),
        ("{}/meters/0", 404, "no meter 0"),
        ("{}/meters/99999999999999999999", 422, "number"),
        ("{}/meters/1/usage?by=minute", 422, "by"),
        ("{}/matches/99", 404, "match 99"),
        ("{}/periods/1", 404, "period 1"),
        ("{}/transactions/0x" + "1" * 64, 404, "transaction 0x1"),
        ("{}/transactions/0x1", 422, "hash"),
        ("{}/orders?limit=501", 422, "limit"),
        ("{}/orders?after=1-2", 422, "another list"),
        ("{}/matches?after=x", 422, "after"),
        ("{}/meters?after=1-2", 422, "another list"),
        ("{}/orders?colour=blue", 422, "colour: there is no such parameter"),
        ("{}/usage?from=2020-13-01T00:00:00Z", 422, "no time"),
        ("{}/usage?from=yesterday", 422, "from: 'yesterday': it has another form"),
        ("{}/usage?from=2020-01-01T00:00:00", 422, "from"),
        ("{}/usage?from=2021-01-01T00:00:00Z&to=2020-01-01T00:00:00Z", 422, "before it begins"),
        ("{}/usage?timezone=Mars/Olympus", 422, "no such time zone: 'Mars/Olympus'"),
        ("{}/usage?timezone=../etc/passwd", 422, "no such time zone"),
        ("{}/usage?by=period", 422, f"more than {MOST_BUCKETS:,}"),
        ("{}/meters/1/bill?month=2031-01", 422, "nothing of"),
        ("{}/meters/1/bill?month=0000-01", 422, ""),
        ("{}/meters/1/bill?month=9999-12", 422, ""),
        ("{}/meters/1/bill?month=2020-9", 422, "month"),
        ("{}/meters/6/bill?month=2020-09", 404, "no meter 6"),
        ("/api/nothing", 404, "not found"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_remedy(
    page: Page, path: str, status: int, said: str
) -> None:
    answer = page.client.get(path.format(page.market))
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert said in problem["error"]
    assert problem["remedy"]


def test_nothing_can_be_written(page: Page) -> None:
    answer = page.client.post(f"{page.market}/orders")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["error"] == "method not allowed"


def test_a_record_that_cannot_be_read_is_an_answer_to_try_again(page: Page) -> None:
    from sqlalchemy import text

    market = page.market
    with page.record.writing() as connection:
        connection.execute(text("DROP TABLE sums"))
    answer = page.client.get(market)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert str(page.record.place) not in answer.text


# ------------------------------------------------------------------ how it is answered


def test_an_answer_that_is_known_is_not_sent_again_until_the_record_changes(page: Page) -> None:
    for path in (page.market, f"{page.market}/usage?by=day", "/api/markets"):
        etag = page.client.get(path).headers["etag"]
        answer = page.client.get(path, headers={"If-None-Match": f'"other", {etag}'})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    other = page.client.get(f"{page.market}/usage?by=hour", headers={"If-None-Match": etag})
    assert other.status_code == 200
    page.update(DRAW)
    assert page.client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_the_state_of_the_node_is_a_change_as_well(page: Page) -> None:
    etag = page.client.get(page.market).headers["etag"]
    page.state.node(page.record.markets()[0].address, False, "The node does not answer")
    answer = page.client.get(page.market, headers={"If-None-Match": etag})
    assert answer.json()["node"]["said"] == "The node does not answer"


def test_other_origins_may_read_nothing(page: Page) -> None:
    answer = page.client.get(page.market, headers={"Origin": "https://elsewhere.example"})
    assert not {name for name in answer.headers if name.startswith("access-control")}
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    app = create_app(page.record, names=("127.0.0.1",))
    client = TestClient(app, base_url="http://127.0.0.1:8420")
    assert client.get("/api/markets").status_code == 200
    answer = client.get("/api/markets", headers={"Host": "rebound.example"})
    assert answer.status_code == 421
    assert answer.json()["remedy"] == "ask for 127.0.0.1"


def test_the_page_and_its_files_are_served_and_large_answers_zipped(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<title>page</title>")
    (tmp_path / "app.js").write_text("// a script\n" * 500)
    assert page.client.get("/").text == "<title>page</title>"
    answer = page.client.get("/page/app.js")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert page.client.get("/page/../0.sqlite").status_code == 404
    assert page.client.get("/page/none.js").json()["error"] == "not found"


def test_metrics_tell_of_the_record_and_the_answers(page: Page) -> None:
    page.get("/meters/2")
    address = page.record.markets()[0].address
    page.state.node(address, True)
    page.state.audited(address, True, 14, "")
    text = page.client.get("/metrics").text
    of = f'market="{address}"'
    assert f'energy_chain_orders_total{{kind="request",{of}}} 6.0' in text
    assert f"energy_chain_matches_total{{{of}}} 7.0" in text
    assert f'energy_chain_waiting_wh{{kind="request",{of}}} 7.0' in text
    assert f"energy_chain_node_reachable{{{of}}} 1.0" in text
    assert f"energy_chain_audit_clean{{{of}}} 1.0" in text
    route = 'route="/api/markets/{address}/meters/{number}",status="200"'
    assert f"energy_chain_http_answer_seconds_count{{{route}}} 1.0" in text
    assert "energy_chain_listeners 0.0" in text


def test_health_is_degraded_while_the_node_is_down(page: Page) -> None:
    assert page.client.get("/healthz").json() == {"status": "ok", "markets": 1, "trouble": None}
    page.state.node(page.record.markets()[0].address, False, "The node does not answer")
    told = page.client.get("/healthz").json()
    assert (told["status"], told["trouble"]) == ("degraded", "The node does not answer")


def test_the_api_describes_itself_and_loads_nothing_from_elsewhere(page: Page) -> None:
    told = page.client.get("/openapi.json").json()
    assert len(told["paths"]) == 20
    assert "/api/markets/{address}/flow" in told["paths"]
    for path in ("/docs", "/redoc"):
        assert page.client.get(path).status_code == 404
