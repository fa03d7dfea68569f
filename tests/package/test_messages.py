"""Messages of meters: what is read of them, and what never is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_chain.errors import InvalidInput
from energy_chain.meters import Reading
from energy_chain.meters.live.messages import BadMessage, MessageReader, MeterMessage, read_json
from energy_chain.meters.live.mqtt_feed import MqttAddress
from tests.package.command_line import PASSPHRASE
from tests.package.meter_files import telegram

QUARTER = timedelta(minutes=15)
WITH_PASSWORD = f"me:{PASSPHRASE}"
NOON = "2026-06-21T12:00:00+02:00"
START = datetime.fromisoformat(NOON)
GOOD = {"period_start": NOON, "consumption_wh": 120.5, "production_wh": 0}


def changed(without: str = "", **fields: Any) -> bytes:
    told = {name: value for name, value in {**GOOD, **fields}.items() if name != without}
    return json.dumps(told).encode()


def test_a_reading_has_a_start_and_exact_energies() -> None:
    assert read_json("a", changed()) == MeterMessage(Reading("a", START, 120_500_000, 0))


@pytest.mark.parametrize("value", ['"0.1205"', "0.1205", "1205e-4"])
def test_energies_in_kwh_are_numbers_or_text(value: str) -> None:
    text = f'{{"period_start": "{NOON}", "consumption_kwh": {value}, "production_wh": 0}}'
    assert read_json("a", text.encode()).reading.consumption == 120_500_000


def test_a_correction_counts_its_revisions() -> None:
    assert read_json("a", changed(revision=3, meter="a")).revision == 3


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"12", "not a JSON object"),
        (b"\xff{}", "not a JSON object"),
        (b"[" * 2000, "not a JSON object"),
        (b'{"a": 1, "a": 2}', "a field comes twice"),
        (changed(without="period_start"), "no period_start"),
        (changed(period_start=1_780_000_000), "no period_start"[:2]),
        (changed(period_start="noon"), "not ISO 8601"),
        (changed(period_start="2026-06-21T12:00:00"), "no UTC offset"),
        (changed(period_start="0001-01-01T00:00:00+14:00"), "not of this time"),
        (changed(without="production_wh"), "production_wh or production_kwh is wanted"),
        (changed(production_kwh=1), "has both"),
        (changed(production_wh=-1), "is not 0 to"),
        (changed(production_wh="1_0" * 20), "is no number"),
        (changed(production_wh="x"), "is no number"),
        (changed(production_wh=None), "is no number"),
        (changed(production_wh=True), "is no number"),
        (changed(production_wh=[1]), "is no number"),
        (changed(production_wh="1e99"), "is not 0 to"),
        (changed(production_wh="1e99999999"), "is no number"),
        (changed().replace(b"120.5", b"NaN"), "NaN is no number"),
        (changed().replace(b"120.5", b'"NaN"'), "is not 0 to"),
        (changed(meter="b"), "not the one that the topic names"),
        (changed(revision=-1), "revision is not"),
        (changed(revision=1.5), "revision is not"),
        (changed(revision=2**31), "revision is not"),
        (changed(price=3), "'price' is no field"),
        (changed(note="x" * 2100), "at most 2,048 are read"),
    ],
)
def test_a_message_that_cannot_be_used_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason):
        read_json("a", payload)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda t: f"/{t}!".encode())))
def test_whatever_comes_is_a_reading_or_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        MessageReader(QUARTER).read("a", payload, START)


def at(minute: float, register: str, number: int = 0) -> tuple[bytes, datetime]:
    """A telegram so many minutes after 19:00 in winter time, and the time."""
    time = datetime(2017, 1, 2, 19) + timedelta(minutes=minute, hours=number)
    payload = telegram(f"{time:%y%m%d%H%M%S}W", (register,), ("000001.000",))
    return payload, time.replace(tzinfo=UTC)


def test_telegrams_at_the_borders_of_a_period_give_its_energy() -> None:
    reader = MessageReader(QUARTER)
    payloads = [
        at(0, "1.000"),
        at(5, "1.100"),
        at(15.1, "1.250"),
        at(15.15, "1.251"),
        at(30, "2.0"),
    ]
    found = [reader.read("a", *each) for each in payloads]
    assert [each and each.reading.consumption // 10**6 for each in found] == [
        *(None, None, 250, None, 750)
    ]
    assert found[2] is not None
    assert found[2].reading.start == datetime(2017, 1, 2, 18, tzinfo=UTC)


def test_a_border_without_a_telegram_gives_no_energy_on_either_side() -> None:
    reader = MessageReader(QUARTER)
    payloads = [at(0, "1.0"), at(15.5, "2.0"), at(30, "3.0"), at(45, "4.0")]
    found = [reader.read("a", *each) for each in payloads]
    assert [each is not None for each in found] == [False, False, False, True]


def test_a_register_that_runs_backwards_is_refused_and_begins_anew() -> None:
    reader = MessageReader(QUARTER)
    reader.read("a", *at(0, "5.0"))
    with pytest.raises(BadMessage, match="runs backwards"):
        reader.read("a", *at(15, "1.0"))
    found = reader.read("a", *at(30, "1.5"))
    assert found is not None
    assert found.reading.consumption == 500_000_000


def test_a_damaged_telegram_is_refused() -> None:
    payload, time = at(0, "5.0")
    with pytest.raises(BadMessage, match="CRC is wrong"):
        MessageReader(QUARTER).read("a", payload.replace(b"5.0", b"6.0"), time)


def test_a_telegram_without_a_time_is_of_when_it_came() -> None:
    reader = MessageReader(QUARTER)
    for minute, register in ((0, "1.0"), (15, "2.0")):
        time = START + timedelta(minutes=minute)
        found = reader.read("a", telegram(None, (register,), ("0.0",)), time)
    assert found is not None
    assert found.reading.start == START


# ------------------------------------------------------------------ addresses


def test_an_address_has_a_broker_a_topic_and_a_user() -> None:
    address = MqttAddress.of_url("mqtts://me@broker.example/town/meters", "canary-4711")
    assert (address.host, address.port, address.base) == ("broker.example", 8883, "town/meters")
    assert (address.tls, address.user) == (True, "me")
    assert str(address) == "mqtts://broker.example:8883/town/meters"
    assert "canary" not in repr(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mqtt://{WITH_PASSWORD}@host/meters", "a password does not belong into a URL"),
        ("http://host/meters", "is no feed"),
        ("mqtt://host", "is no feed"),
        ("mqtt://host/meters/#", "is no feed"),
        ("mqtt://host/met+ers", "is no feed"),
        ("mqtt:///meters", "is no feed"),
        ("mqtt://host:99999/meters", "check its port"),
    ],
)
def test_what_is_no_address_of_a_feed_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        MqttAddress.of_url(url)
    assert PASSPHRASE not in str(error.value)
