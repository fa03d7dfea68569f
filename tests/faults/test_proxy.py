"""The proxy does what it says, or the tests behind it would prove nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from energy_chain.chain.accounts import development_accounts
from tests.faults import kinds
from tests.faults.kinds import BY_NAME, KINDS
from tests.faults.nodes import AnvilNode, FaultyNode
from tests.faults.proxy import Proxy

SENDER = development_accounts(1)[0]
ARRIVES = {"reply_dropped", "reply_hung", "wrong_hash", "sent_twice", "already_known"} | {
    "nonce_too_low"
}
"""Faults of sending with which the node gets the transaction all the same."""
PATIENCE = 0.5
"""Seconds to wait for an answer that does not come."""


@pytest.fixture(scope="module")
def proxy(anvil: AnvilNode) -> Iterator[Proxy]:
    with Proxy(anvil.url) as proxy:
        yield proxy


def told(url: str, method: str, *params: Any) -> tuple[int, Any] | None:
    """HTTP's status and the JSON of an answer; None where there is none."""

    async def ask() -> tuple[int, Any]:
        question = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        limit = aiohttp.ClientTimeout(total=PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=limit) as client,
            client.post(url, json=question) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    try:
        return asyncio.run(ask())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def signed_transaction(node: FaultyNode) -> str:
    """A transfer of nothing, which has not been sent."""
    nonce = int(node.ask("eth_getTransactionCount", SENDER.address, "latest"), 16)
    fields = {"to": SENDER.address, "nonce": nonce, "gas": 21_000, "chainId": node.chain_id}
    signed = SENDER.sign_transaction({**fields, "gasPrice": 10**10, "value": 0})
    return signed.raw_transaction.to_0x_hex()


@pytest.mark.parametrize("name", [each.name for each in KINDS if each.methods is None])
def test_a_fault_spoils_every_answer_until_it_is_over(
    proxy: Proxy, anvil: AnvilNode, name: str
) -> None:
    anvil.mine(kinds.LAG)
    true, begun, met = told(anvil.url, "eth_blockNumber"), time.monotonic(), proxy.met
    with proxy.failing(BY_NAME[name]):
        spoilt = told(proxy.url, "eth_blockNumber")
    assert proxy.met > met
    if name == "latency":
        assert spoilt == true
        assert time.monotonic() - begun >= kinds.LATENCY
    else:
        assert spoilt != true
    assert told(proxy.url, "eth_blockNumber") == true


@pytest.mark.parametrize("name", [each.name for each in KINDS if each.methods == kinds.SEND])
def test_a_fault_of_sending_happens_to_nothing_else(
    proxy: Proxy, anvil: AnvilNode, name: str
) -> None:
    raw, before = signed_transaction(anvil), anvil.height()
    with proxy.failing(BY_NAME[name]):
        assert told(proxy.url, "eth_blockNumber") == told(anvil.url, "eth_blockNumber")
        told(proxy.url, "eth_sendRawTransaction", raw)
    assert anvil.height() == before + (name in ARRIVES)


def test_the_port_of_a_proxy_that_refuses_stays_its_own(proxy: Proxy) -> None:
    with proxy.failing(BY_NAME["refused"]):
        assert told(proxy.url, "eth_blockNumber") is None
        with Proxy(proxy.url) as other:
            assert other.url != proxy.url
    assert told(proxy.url, "eth_blockNumber") is not None
