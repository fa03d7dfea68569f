"""What the relay takes in and what it refuses, with which status and which words."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from energy_chain.errors import NodeUnreachable
from energy_chain.signing import CURVE_ORDER, Kind, OrderDomain

from ..property.markets import METERS, OPERATOR, PERIOD
from .conftest import DOMAIN, FIRST, Service, body, signed


def refused(answer: Any, status: int, *fragments: str) -> dict[str, Any]:
    """A problem of that status that says these things, and how to go on."""
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"error", "remedy", "reason", "receipt"}
    assert problem["error"]
    assert problem["remedy"]
    said = json.dumps(problem)
    assert [fragment for fragment in fragments if fragment not in said] == []
    assert "Traceback" not in said
    assert "/home" not in said
    return problem


def test_an_order_is_accepted_and_can_be_asked_for(service: Service) -> None:
    answer = service.post()
    assert answer.status_code == 202
    told = answer.json()
    assert answer.headers["Location"] == f"/orders/{told['id']}"
    assert told == service.of(told["id"])
    assert told["state"] == "accepted"
    assert (told["meter"], told["kind"], told["energy_wh"]) == (METERS[0], "request", 1_500)
    assert (told["period"], told["deadline"]) == (FIRST, (FIRST + 1) * PERIOD - 60)
    assert told["accepted_at"] == service.clock.time
    for name in ("reason", "remedy", "transaction", "block", "counter"):
        assert told[name] is None
    assert (told["matched_wh"], told["matches"]) == (0, [])


def test_what_meters_sign_prints_is_taken(service: Service) -> None:
    from energy_chain.signing import OrderDocument

    order = signed(METERS[0], Kind.REQUEST, 1_500, FIRST, (FIRST + 1) * PERIOD, 0, DOMAIN)
    printed = OrderDocument(order, DOMAIN, METERS[0]).to_json()
    assert printed["meter"] == METERS[0]
    assert service.client.post("/orders", json=printed).status_code == 202


def test_a_meter_that_did_not_sign_is_named(service: Service) -> None:
    answer = service.client.post("/orders", json={**body(), "meter": METERS[1]})
    refused(answer, 422, METERS[0], METERS[1])
    assert service.health()["orders"]["accepted"] == 0


def test_the_same_order_again_gets_the_same_receipt(service: Service) -> None:
    first = service.post()
    again = service.post()
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json()
    assert service.health()["orders"]["accepted"] == 1


def test_a_signature_of_65_bytes_is_the_same_order(service: Service) -> None:
    order = body()
    raw = bytes.fromhex(order["signature"][2:])
    v = 27 + (raw[32] >> 7)
    longer = raw[:32] + bytes([raw[32] & 0x7F]) + raw[33:] + bytes([v])
    first = service.client.post("/orders", json=order)
    again = service.client.post("/orders", json={**order, "signature": "0x" + longer.hex()})
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]


def test_limit_price_may_be_left_out(service: Service) -> None:
    order = body()
    del order["limit_price"]
    assert service.client.post("/orders", json=order).status_code == 202


def test_the_case_of_the_contract_s_address_does_not_matter(service: Service) -> None:
    assert service.post(contract=DOMAIN.contract.lower()).status_code == 202


# ------------------------------------------------------------------ another one is in the way


def test_a_second_order_of_a_meter_is_refused(service: Service) -> None:
    id = service.accept()
    problem = refused(service.post(energy=1_600), 409, "energy: meter has posted already")
    assert problem["receipt"] == id
    assert service.post(energy=1_600, kind="release").status_code == 202
    assert service.post(energy=1_600, meter=1).status_code == 202


def test_an_order_that_is_on_chain_by_other_ways_is_refused(service: Service) -> None:
    deadline = (FIRST + 1) * PERIOD
    other = signed(METERS[0], Kind.REQUEST, 5, FIRST, deadline, 0, DOMAIN)
    service.market.post_signed([other])
    refused(service.post(), 409, "energy: meter has posted already")


def test_of_many_at_the_same_time_one_is_taken(service: Service) -> None:
    same = [body()] * 8
    others = [body(meter=1, energy=energy) for energy in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda o: service.client.post("/orders", json=o), same + others))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses[:8]) == [200] * 7 + [202]
    assert len({answer.json()["id"] for answer in answers[:8]}) == 1
    assert sorted(statuses[8:]) == [202] + [409] * 7
    assert service.health()["waiting"] == 2


# ------------------------------------------------------------------ the market would refuse it


@pytest.mark.parametrize(
    ("changed", "fragment"),
    [
        ({"energy": 0}, "energy: value not 1..2**32-1 Wh"),
        ({"price": 1}, "energy: limit price is not zero"),
        ({"period": FIRST - 1}, "energy: orders of another period"),
        ({"period": FIRST + 2}, "energy: orders of another period"),
        ({"deadline": FIRST * PERIOD + 9}, "energy: deadline has passed"),
        ({"deadline": (FIRST + 1) * PERIOD + 1}, "is not in period"),
        ({"deadline": FIRST * PERIOD - 1}, "is not in period"),
        ({"period": FIRST + 1, "deadline": (FIRST + 1) * PERIOD - 1}, "is not in period"),
        ({"meter": 5}, "energy: signer is not registered"),
        ({"energy_wh": 1_501}, "energy: signer is not registered"),
        ({"signature": "0x" + "00" * 64}, "energy: signer is not registered"),
        ({"signature": "0x" + "11" * 32 + "7f" + "ff" * 31}, "energy: signature has a high s"),
        ({"signature": "0x" + "01" * 65}, "v is 27 or 28"),
        ({"chain_id": 1}, "on chain 1"),
        ({"contract": "0x" + "11" * 20}, "sign for 0x"),
        ({"domain": OrderDomain(5, DOMAIN.contract)}, "on chain 5"),
    ],
)
def test_what_the_market_would_refuse_is_refused_at_the_door(
    service: Service, changed: dict[str, Any], fragment: str
) -> None:
    refused(service.post(**changed), 422, fragment)
    assert service.health()["waiting"] == 0


def test_the_other_s_of_a_good_signature_is_refused(service: Service) -> None:
    order = body()
    r, vs = order["signature"][2:66], int(order["signature"][66:], 16)
    other, v = CURVE_ORDER - vs % 2**255, 28 - (vs >> 255)
    answer = service.post(signature=f"0x{r}{other:064x}{v:02x}")
    refused(answer, 422, "s below 2**255")


def test_a_retired_meter_is_refused(service: Service) -> None:
    service.market.as_account(OPERATOR).retire_meter(METERS[0])
    refused(service.post(), 422, "energy: meter is retired", "register it again")


def test_the_next_period_is_accepted_and_the_order_held(service: Service) -> None:
    id = service.accept(period=FIRST + 1)
    assert service.wait(60) == []
    assert service.states(id) == ["accepted"]
    assert service.health()["oldest_waiting_seconds"] is None
    (done,) = service.wait(PERIOD)
    assert done.posted == 1
    assert service.of(id)["state"] == "on chain"


def test_a_market_that_is_paused_holds_its_orders(service: Service) -> None:
    market = service.market.as_account(service.market.owner())
    market.pause()
    id = service.accept()
    assert service.wait(60) == []
    assert service.health()["paused"]
    market.unpause()
    assert len(service.step()) == 1
    assert service.states(id) == ["on chain"]


# ------------------------------------------------------------------ it is no order


@pytest.mark.parametrize(
    "changed",
    [
        {"energy_wh": "5"},
        {"energy_wh": True},
        {"energy_wh": 5.0},
        {"energy_wh": None},
        {"energy_wh": -1},
        {"energy_wh": 2**32},
        {"energy_wh": 10**400},
        {"limit_price": 2**16},
        {"limit_price": None},
        {"period": 2**32},
        {"period": "1"},
        {"deadline": 2**64},
        {"deadline": 1.5},
        {"kind": "Request"},
        {"kind": 0},
        {"kind": None},
        {"signature": "0x"},
        {"signature": "0x" + "0" * 127},
        {"signature": "0x" + "g" * 128},
        {"signature": "0x" + "0" * 128 + "\n"},
        {"signature": "é" * 128},
        {"signature": 5},
        {"chain_id": "1337"},
        {"contract": "0x12"},
        {"note": "more"},
        {"\ud800": "half a character"},
        {"__proto__": {}},
    ],
)
def test_a_field_that_is_not_as_described_is_refused(
    service: Service, changed: dict[str, Any]
) -> None:
    content = json.dumps(body() | changed)
    answer = service.client.post(
        "/orders", content=content, headers={"Content-Type": "application/json"}
    )
    refused(answer, 422, "openapi.json")


@pytest.mark.parametrize("name", [name for name in body() if name != "limit_price"])
def test_a_missing_field_is_refused(service: Service, name: str) -> None:
    order = body()
    del order[name]
    refused(service.client.post("/orders", json=order), 422, name, "required")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"nothing", 400),
        (b"\xff\xfe", 400),
        (b"null", 422),
        (b"[]", 422),
        (b"[" * 2_000 + b"]" * 2_000, None),  # how deep JSON may be is up to the interpreter
        (b'{"a":' * 600 + b"1" + b"}" * 600, 422),
        (b'{"energy_wh": NaN}', 422),
        (b'{"energy_wh": ' + b"9" * 4_000 + b"}", 422),
    ],
)
def test_a_body_that_is_no_order_is_refused(
    service: Service, content: bytes, status: int | None
) -> None:
    answer = service.client.post(
        "/orders", content=content, headers={"Content-Type": "application/json"}
    )
    refused(answer, status or answer.status_code)
    assert answer.status_code in (400, 422)


def test_another_type_of_content_is_refused(service: Service) -> None:
    content = json.dumps(body())
    answer = service.client.post("/orders", content=content, headers={"Content-Type": "text/plain"})
    refused(answer, 422)


def test_a_large_body_is_refused_before_it_is_read_as_json(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So deep that parsing it would end the process where the recursion limit was raised.
    monkeypatch.setattr(sys, "setrecursionlimit", lambda _: None)
    deep = b"[" * 1_000_000
    refused(service.client.post("/orders", content=deep), 413, "4096 bytes")
    pieces = (b" " * 1_000 for _ in range(5))
    refused(service.client.post("/orders", content=pieces), 413)
    padded = json.dumps(body()).encode().ljust(4_096)
    headers = {"Content-Type": "application/json"}
    assert service.client.post("/orders", content=padded, headers=headers).status_code == 202
    assert service.client.request("GET", "/health", content=b" " * 4_097).status_code == 413


def test_a_body_that_takes_too_long_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from energy_chain.relay import app

    monkeypatch.setattr(app, "BODY_SECONDS", 0.01)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/orders", "headers": [], "client": None}
    asyncio.run(service.client.app(scope, receive, send))
    assert [message.get("status") for message in sent] == [408, None]


# ------------------------------------------------------------------ too much of it


def test_a_client_that_asks_too_often_has_to_wait(start: Callable[..., Service]) -> None:
    service = start(client_rate="3/hour")
    service.accept()
    service.accept(meter=1)
    assert service.client.get("/orders", params={"meter": METERS[0]}).status_code == 200
    answer = service.client.post("/orders", content=b"{" * 5_000)
    refused(answer, 429, "3 per 1 hour")
    assert 1 <= int(answer.headers["Retry-After"]) <= 3_600
    assert service.client.get("/health").status_code == 200


def test_a_meter_that_signs_too_often_has_to_wait(start: Callable[..., Service]) -> None:
    service = start(meter_rate="2/hour")
    service.accept()
    refused(service.post(energy=1), 409)
    refused(service.post(energy=2), 429, "one meter")
    assert service.post().status_code == 200  # the same again costs nothing
    service.accept(meter=1)


def test_when_too_many_wait_no_more_are_taken(start: Callable[..., Service]) -> None:
    service = start(most_waiting=2)
    service.accept()
    service.accept(meter=1)
    answer = service.post(meter=2)
    refused(answer, 503, "2 orders wait already")
    assert answer.headers["Retry-After"] == "5"
    service.wait(5)
    service.accept(meter=2)


# ------------------------------------------------------------------ looking


def test_orders_of_a_meter_are_listed_by_pages(service: Service) -> None:
    made = [
        service.accept(kind=kind, period=period)
        for period in (FIRST, FIRST + 1)
        for kind in ("request", "release")
    ]
    service.accept(meter=1)

    def page(**wanted: Any) -> Any:
        answer = service.client.get("/orders", params={"meter": METERS[0].lower(), **wanted})
        assert answer.status_code == 200
        return answer.json()

    assert [order["id"] for order in page()["orders"]] == made
    assert page()["next"] is None
    first = page(limit=3)
    second = page(limit=3, after=first["next"])
    assert [order["id"] for order in first["orders"] + second["orders"]] == made
    assert second["next"] is None
    assert page(after=2**53) == {"orders": [], "next": None}


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"meter": "roof"},
        {"meter": METERS[0], "limit": 0},
        {"meter": METERS[0], "limit": 101},
        {"meter": METERS[0], "limit": "many"},
        {"meter": METERS[0], "after": -1},
        {"meter": METERS[0], "after": 2**64},
        {"meter": METERS[0], "colour": "red"},
    ],
)
def test_a_page_that_there_is_not_is_refused(service: Service, wanted: dict[str, Any]) -> None:
    refused(service.client.get("/orders", params=wanted), 422)


@pytest.mark.parametrize("id", ["1", "A" * 64, "%00", "é"])
def test_what_is_no_receipt_id_is_refused(service: Service, id: str) -> None:
    refused(service.client.get(f"/orders/{id}"), 422, "id: ")


def test_an_unknown_receipt_id_is_refused(service: Service) -> None:
    refused(service.client.get("/orders/" + "0" * 64), 404, "receipt id")


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/orders/a/b", "/metrics"])
def test_there_is_nothing_else_and_no_page_that_loads_from_elsewhere(
    service: Service, path: str
) -> None:
    refused(service.client.get(path), 404, "openapi.json")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(service: Service, method: str) -> None:
    answer = service.client.request(method, "/orders")
    refused(answer, 405)
    assert answer.headers["Allow"]


def test_health_tells_how_it_goes(service: Service) -> None:
    before = service.health()
    assert (before["status"], before["chain_reachable"], before["block"]) == (
        *("degraded", False),
        None,
    )
    service.step()
    service.accept()
    service.clock.time += 3
    told = service.health()
    assert (told["status"], told["trouble"], told["paused"]) == ("ok", None, False)
    assert (told["chain_id"], told["contract"]) == (DOMAIN.chain_id, DOMAIN.contract)
    assert (told["waiting"], told["oldest_waiting_seconds"]) == (1, 3)
    assert told["relayer"] == service.market.account
    assert told["last_batch"] is None
    (done,) = service.wait(2)
    told = service.health()
    assert told["last_batch"] == {
        "transaction": done.transaction,
        "orders": 1,
        "sent_at": service.clock.time,
        "block": done.block,
        "gas": done.gas,
    }
    assert told["orders"] == {
        **dict.fromkeys(("accepted", "sent", "matched", "refused", "expired"), 0),
        "on chain": 1,
    }


def test_health_says_what_the_node_is_waited_for(service: Service) -> None:
    service.step()
    told = service.health()
    assert (told["status"], told["waited_for"], told["chain_reachable"]) == ("ok", None, True)
    assert (told["under_way"], told["oldest_under_way_seconds"]) == (0, None)
    service.market.blocks.trouble = "no usable answer to eth_call from here (HTTP 503)"
    told = service.health()
    assert (told["status"], told["chain_reachable"]) == ("degraded", False)
    assert told["waited_for"] == service.market.blocks.trouble


def test_every_status_is_described(service: Service) -> None:
    paths = service.client.get("/openapi.json").json()["paths"]
    said = {
        operation["operationId"]: sorted(operation["responses"])
        for path in paths.values()
        for operation in path.values()
    }
    always = {"408", "413", "500", "503"}
    assert {name: set(statuses) - always for name, statuses in said.items()} == {
        "post_order": {"200", "202", "400", "409", "422", "429"},
        "list_orders": {"200", "422", "429"},
        "get_order": {"200", "404", "422", "429"},
        "health": {"200"},
    }
    assert all(always <= set(statuses) for statuses in said.values())


# ------------------------------------------------------------------ what is no fault of the client


def test_without_a_chain_it_says_so_and_shows_nothing_of_the_node(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> tuple[int, int]:
        raise NodeUnreachable("no usable answer from https://secret@node.example")

    monkeypatch.setattr(service.market, "latest", away)
    answer = service.post()
    problem = refused(answer, 503, "NodeUnreachable")
    assert "secret" not in json.dumps(problem)
    assert answer.headers["Retry-After"]


def test_without_a_store_it_says_so_and_shows_no_path(service: Service) -> None:
    service.relay.store.close()
    service.path.write_bytes(b"no database" * 1_000)
    problem = refused(service.post(), 503, "store cannot be used")
    assert str(service.path) not in json.dumps(problem)


def test_a_fault_of_the_relay_shows_nothing_of_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("/home/somebody/secret")

    monkeypatch.setattr(service.relay.store, "get", broken)
    problem = refused(service.post(), 500, "fault of the relay")
    assert "secret" not in json.dumps(problem)
