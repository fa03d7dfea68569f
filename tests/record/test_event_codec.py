"""Logs of the contract: what is encoded is decoded, and web3 reads them the same way."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given, settings

from energy_chain import events as ev
from energy_chain.chain.artifact import load_artifact
from energy_chain.chain.event_codec import decode, encode
from energy_chain.errors import ContradictoryChain
from energy_chain.market import Fill, Release, Request
from tests.property.histories import DETERMINISTIC, histories
from tests.property.markets import METERS, Call
from tests.record.chains import FakeChain

A, B = METERS[:2]
TOP = 2**32 - 1
EVENTS = [
    ev.RequestPosted(A, TOP, TOP),
    ev.ReleasePosted(B, 0, 1),
    ev.RequestsPosted(7, tuple(Request(n, n) for n in range(1, 257))),
    ev.ReleasesPosted(0, (Release(65_535, TOP),)),
    ev.SignedRequestsPosted(5, (Request(1, 2), Request(3, 4), Request(5, 6))),
    ev.SignedReleasesPosted(4, (Release(1, 2),)),
    ev.SignedOrderSkipped(2**256 - 1, 2**97 - 1, "energy: signer is not registered"),
    ev.SignedOrderSkipped(0, 0, ""),
    ev.PeriodOpened(2**31 - 1, 1024, 0),
    ev.Matched(2**32 - 3, (Fill(65_535, 1, TOP), Fill(1, 65_535, 1))),
    ev.Matched(0, tuple(Fill(1, 2, n) for n in range(1, 257))),
    ev.PairMatched(TOP, Fill(65_535, 65_535, TOP)),
    ev.DeliveryConfirmed(TOP, 1),
    ev.DeliveriesConfirmed(8, (0, TOP, 5, 0)),
    ev.MatchesConfirmed(3, 256),
    ev.MeterRegistered(A, 65_535),
    ev.MeterRetired(B, 1),
    ev.OwnershipTransferStarted(A, B),
    ev.OwnershipTransferred(A, B),
    ev.AggregatorChanged(A, B),
    ev.MeteringOperatorChanged(A, B),
    ev.Paused(A),
    ev.Unpaused(B),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_encoded_is_decoded(event: ev.Event) -> None:
    assert decode(*encode(event)) == event


def test_every_kind_of_event_is_among_them() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(ev.Event))


def test_fields_are_in_the_order_of_the_contract() -> None:
    packed = {"words": ("orders", "fills", "energies"), "fill": ("index", "fill")}
    for entry in load_artifact().abi:
        if entry["type"] == "event":
            ours = [field.name for field in fields(getattr(ev, entry["name"]))]
            told = [field["name"] for field in entry["inputs"]]
            if told != ours:
                assert set(packed) & set(told), entry["name"]
                assert ours[0] in (told[0], "index")


@cache
def web3_events() -> dict[bytes, Any]:
    """web3's own decoders, by topic."""
    from web3 import Web3

    contract = Web3().eth.contract(abi=load_artifact().abi)
    return {bytes.fromhex(event.topic[2:]): event for event in contract.all_events()}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_web3_reads_a_log_of_ours_as_the_contract_would_have_made_it(event: ev.Event) -> None:
    from hexbytes import HexBytes

    topics, data = encode(event)
    log = {
        **{"address": A, "topics": [HexBytes(topic) for topic in topics], "data": HexBytes(data)},
        **{"blockNumber": 1, "blockHash": HexBytes(bytes(32)), "logIndex": 0},
        **{"transactionHash": HexBytes(bytes(32)), "transactionIndex": 0},
    }
    told = web3_events()[topics[0]].process_log(log)
    assert told["event"] == type(event).__name__
    for name, value in told["args"].items():
        if hasattr(event, name) and name != "fill":
            assert getattr(event, name) == value


@given(history=histories(10, 40))
@settings(DETERMINISTIC, max_examples=20)
def test_whatever_a_market_logs_is_decoded_as_it_was(history: list[Call]) -> None:
    for receipt in FakeChain(history).ledger.history():
        for event in receipt.events:
            assert decode(*encode(event)) == event


TOPICS, DATA = encode(ev.RequestsPosted(0, (Request(1, 2),)))


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((), b""),
        ((bytes(32),), b""),
        (TOPICS, b""),
        (TOPICS, DATA[:-1]),
        (TOPICS, DATA[:40]),
        ((*TOPICS, bytes(32)), DATA),
        (TOPICS, DATA[:32] + b"\xff" * 32),
        (TOPICS, DATA[:64] + b"\xff" * 32),
        (encode(ev.RequestPosted(A, 1, 1))[0][:1], DATA),
    ],
)
def test_a_log_that_the_contract_cannot_have_made_is_refused(
    topics: tuple[bytes, ...], data: bytes
) -> None:
    with pytest.raises(ContradictoryChain, match="cannot have made: ask another node"):
        decode(topics, data)
