"""Signed orders agree with ethers, an implementation that shares no code with ours."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import EMBEDDED
from energy_chain.chain.sender import TransactionSender
from energy_chain.events import SignedRequestsPosted
from energy_chain.market import MAX_ENERGY, Request
from energy_chain.signing import (
    CURVE_ORDER,
    MAX_PRICE,
    Kind,
    OrderDomain,
    OrderTerms,
    SignedOrder,
    digest,
    sign,
    signer_of,
    typed_data,
)
from tests.integration.nodes import missing

HERE = Path(__file__).parent
ORDERS = 200
GENESIS_TIME = 1_700_000_100
TIMEOUT = 120.0


@dataclass(frozen=True)
class Case:
    """An order, whose key it is, and our signature."""

    terms: OrderTerms
    domain: OrderDomain
    key: str
    signed: SignedOrder

    @classmethod
    def of(cls, terms: OrderTerms, domain: OrderDomain, key: str) -> Case:
        return cls(terms, domain, key, sign(terms, domain, key))

    def asked(self) -> dict[str, Any]:
        """For ethers; numbers as text, because JavaScript's own have 53 bits."""
        data = typed_data(self.terms, self.domain)
        data["domain"]["chainId"] = str(data["domain"]["chainId"])
        message = {name: str(value) for name, value in data["message"].items()}
        ours = self.signed.signature
        return {"domain": data["domain"], "message": message, "key": self.key, "ours": ours}


def random_case(source: random.Random) -> Case:
    """Any order; every field is now and then the least or the largest that it can be."""

    def up_to(largest: int, least: int = 0) -> int:
        return source.choice([least, largest, *(source.randint(least, largest) for _ in range(6))])

    terms = OrderTerms(
        source.choice(list(Kind)),
        energy=up_to(MAX_ENERGY),
        period=up_to(2**32 - 1),
        deadline=up_to(2**64 - 1),
        limit_price=up_to(MAX_PRICE),
    )
    # In lower case: no need of a checksum here.
    domain = OrderDomain(up_to(2**256 - 1, 1), f"0x{up_to(2**160 - 1):040x}")
    return Case.of(terms, domain, f"0x{up_to(CURVE_ORDER - 1, 1):064x}")


@pytest.fixture(scope="module")
def market() -> ContractLedger:
    """The relayer's ledger of a market in which the development account 4 is meter 1."""
    accounts = development_accounts(5)
    owner, aggregator, operator, relayer, meter = (str(account.address) for account in accounts)
    connection = Connection.open(EMBEDDED, [account.address for account in accounts], GENESIS_TIME)
    sender = TransactionSender(connection, accounts[:-1])
    ledger = ContractLedger.deploy(sender, owner, aggregator, operator, period_length=900)
    ledger.register_meters([meter])
    return ledger.as_account(relayer)


@pytest.fixture(scope="module")
def cases(market: ContractLedger) -> list[Case]:
    """The first of them is good in the market, the others are made up."""
    period = market.signing_period()
    terms = OrderTerms(Kind.REQUEST, 1_500, period, (period + 1) * 900)
    good = Case.of(terms, market.order_domain(), "0x" + development_accounts(5)[4].key.hex())
    source = random.Random(20260621)
    return [good, *(random_case(source) for _ in range(ORDERS))]


@pytest.fixture(scope="module")
def answers(cases: list[Case]) -> list[dict[str, str]]:
    """What ethers makes of each of them."""
    node = shutil.which("node")
    if node is None:
        missing("Node.js")
    pinned = json.loads((HERE / "package.json").read_text())["dependencies"]["ethers"]
    if not (HERE / "node_modules" / "ethers" / "package.json").is_file():
        missing("ethers")
    types = {"Order": typed_data(cases[0].terms, cases[0].domain)["types"]["Order"]}
    done = subprocess.run(
        [node, str(HERE / "ethers_agreement.cjs")],
        input=json.dumps({"types": types, "orders": [case.asked() for case in cases]}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["version"] == pinned
    orders: list[dict[str, str]] = answer["orders"]
    assert len(orders) == len(cases)
    return orders


def test_the_message_to_sign_is_the_same(cases: list[Case], answers: list[dict[str, str]]) -> None:
    ours = ["0x" + digest(case.terms, case.domain).hex() for case in cases]
    assert ours == [answer["digest"] for answer in answers]
    assert len(set(ours)) == len(cases)


@pytest.mark.parametrize("form", ["compact", "whole"])
def test_we_know_who_signed_with_ethers(
    cases: list[Case], answers: list[dict[str, str]], form: str
) -> None:
    for case, answer in zip(cases, answers, strict=True):
        signed = SignedOrder.from_signature(case.terms, answer[form])
        assert signer_of(signed, case.domain) == answer["address"]


def test_ethers_knows_who_signed_with_us(cases: list[Case], answers: list[dict[str, str]]) -> None:
    assert [answer["signedBy"] for answer in answers] == [answer["address"] for answer in answers]
    assert [signer_of(case.signed, case.domain) for case in cases] == [
        answer["address"] for answer in answers
    ]


def test_the_signatures_are_the_same(cases: list[Case], answers: list[dict[str, str]]) -> None:
    # Both take the nonce from RFC 6979, and so come to one signature.
    assert [case.signed.signature for case in cases] == [answer["compact"] for answer in answers]
    assert {case.signed.vs >> 255 for case in cases} == {0, 1}


def test_the_market_takes_what_ethers_has_signed(
    market: ContractLedger, cases: list[Case], answers: list[dict[str, str]]
) -> None:
    signed = SignedOrder.from_signature(cases[0].terms, answers[0]["compact"])
    receipt = market.post_signed([signed], all_or_nothing=True)
    assert receipt.events[-1] == SignedRequestsPosted(0, (Request(1, 1_500),))
    assert market.has_signed(answers[0]["address"], Kind.REQUEST)
