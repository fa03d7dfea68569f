"""The kinds of faults between a client and its node.

Nothing, late or half an answer; answers of HTTP and of other servers; answers that are
not true; and what can happen to a transaction that is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from eth_utils import keccak

from tests.faults.proxy import REFUSED, Act, Exchange, Kind

SEND = frozenset({"eth_sendRawTransaction"})
RECEIPT = frozenset({"eth_getTransactionReceipt"})
LOOK_UPS = {"eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getTransactionCount"}
CHAIN = frozenset({"eth_chainId", "net_version", "eth_getBlockByNumber"})
LAG = 3
"""Blocks that a node is behind which tells what was true before."""
LATENCY = 0.3
OTHER_CHAIN_ID = 99

KINDS: list[Kind] = [REFUSED]
"""Every kind of fault."""


def kind(methods: frozenset[str] | None = None) -> Callable[[Act], Act]:
    """Names a kind of fault after the function that does it."""

    def named(act: Act) -> Act:
        KINDS.append(Kind(act.__name__, act, methods))
        return act

    return named


# ------------------------------------------------------------------ no answer, or none in time


@kind()
async def reset(exchange: Exchange) -> None:
    exchange.reset()


@kind()
async def hang(exchange: Exchange) -> None:
    await exchange.until_it_leaves()


@kind()
async def drip(exchange: Exchange) -> None:
    exchange.say(b"", length=1_000)
    while True:
        exchange.put(b" ")
        await exchange.drain()
        await asyncio.sleep(1)


@kind()
async def drip_of_head(exchange: Exchange) -> None:
    exchange.put(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        exchange.put(b" ")
        await exchange.drain()
        await asyncio.sleep(1)


@kind()
async def endless(exchange: Exchange) -> None:
    exchange.say(b"", length=10**12)
    while True:
        exchange.put(b" " * 1_000)
        await exchange.drain()
        await asyncio.sleep(0.01)


@kind()
async def latency(exchange: Exchange) -> None:
    await asyncio.sleep(LATENCY)
    exchange.tell(await exchange.forward())


# ------------------------------------------------------------------ answers of HTTP


@kind()
async def too_many_requests(exchange: Exchange) -> None:
    exchange.say(b"slow down", "429 Too Many Requests", "Retry-After: 1")


@kind()
async def unavailable(exchange: Exchange) -> None:
    exchange.say(b"", "503 Service Unavailable")


@kind()
async def bad_gateway(exchange: Exchange) -> None:
    page = b"<html><h1>502 Bad Gateway</h1></html>"
    exchange.say(page, "502 Bad Gateway", "Content-Type: text/html")


@kind()
async def server_error(exchange: Exchange) -> None:
    exchange.say(b'{"error": "out of memory"}', "500 Internal Server Error")


@kind()
async def no_http(exchange: Exchange) -> None:
    exchange.put(b"SSH-2.0-OpenSSH_9.2\r\n")
    exchange.close()


@kind()
async def bad_compression(exchange: Exchange) -> None:
    exchange.say(b"not gzip", "200 OK", "Content-Encoding: gzip")


@kind()
async def cut_off(exchange: Exchange) -> None:
    body = json.dumps(await exchange.forward()).encode()
    exchange.say(body[: len(body) // 2], length=len(body))
    exchange.close()


@kind()
async def bad_chunks(exchange: Exchange) -> None:
    exchange.put(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfew\r\n{}\r\n")
    exchange.close()


# ------------------------------------------------------------------ answers of no node


@kind()
async def empty(exchange: Exchange) -> None:
    exchange.say(b"")


@kind()
async def truncated(exchange: Exchange) -> None:
    exchange.say(json.dumps(await exchange.forward()).encode()[:-3])


@kind()
async def no_json_rpc(exchange: Exchange) -> None:
    exchange.tell({"status": "ok"})


@kind()
async def a_list(exchange: Exchange) -> None:
    exchange.tell([])


@kind()
async def wrong_id(exchange: Exchange) -> None:
    exchange.tell(await exchange.forward() | {"id": 10**6})


@kind()
async def wrong_type(exchange: Exchange) -> None:
    exchange.result({"something": ["else"]})


@kind()
async def null(exchange: Exchange) -> None:
    exchange.result(None)


@kind()
async def internal_error(exchange: Exchange) -> None:
    exchange.error(-32603, "internal error")


@kind()
async def limit_exceeded(exchange: Exchange) -> None:
    exchange.error(-32005, "daily request count exceeded, request rate limited")


# ------------------------------------------------------------------ other truths


@kind(CHAIN)
async def wrong_chain(exchange: Exchange) -> None:
    match exchange.question["method"]:
        case "eth_chainId":
            exchange.result(hex(OTHER_CHAIN_ID))
        case "net_version":
            exchange.result(str(OTHER_CHAIN_ID))
        case _:
            answer = await exchange.forward()
            if exchange.question["params"][0] == "0x0":
                answer["result"]["hash"] = "0x" + 32 * "cd"
            exchange.tell(answer)


@kind()
async def stale(exchange: Exchange) -> None:
    """As behind a load balancer one of whose nodes is a few blocks behind."""
    params, latest = (
        exchange.question.get("params", []),
        await exchange.forward(method="eth_blockNumber", params=[]),
    )
    number = max(0, int(latest["result"], 16) - LAG)
    match exchange.question["method"]:
        case "eth_blockNumber":
            exchange.result(hex(number))
        case "eth_getBlockByNumber" | "eth_getTransactionCount" | "eth_call":
            late = [hex(number) if each in ("latest", "pending") else each for each in params]
            exchange.tell(await exchange.forward(params=late))
        case "eth_getTransactionReceipt" | "eth_getTransactionByHash":
            answer = await exchange.forward()
            block = (answer.get("result") or {}).get("blockNumber")
            if block is not None and int(block, 16) > number:
                answer["result"] = None
            exchange.tell(answer)
        case _:
            exchange.tell(await exchange.forward())


@kind(RECEIPT)
async def receipts_missing(exchange: Exchange) -> None:
    exchange.result(None)


# ------------------------------------------------------------------ a transaction is sent


@kind(SEND)
async def reply_dropped(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.reset()


@kind(SEND)
async def reply_hung(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.until_it_leaves()


@kind(SEND)
async def swallowed(exchange: Exchange) -> None:
    exchange.say(b"", length=100)
    await exchange.until_it_leaves()


@kind(SEND)
async def forgotten(exchange: Exchange) -> None:
    """The node says that it has it, and never mines it."""
    exchange.result("0x" + keccak(hexstr=exchange.question["params"][0]).hex())


@kind(SEND)
async def wrong_hash(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.result("0x" + 32 * "ab")


@kind(SEND)
async def sent_twice(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.tell(await exchange.forward())


@kind(SEND)
async def already_known(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.error(-32000, "already known")


@kind(SEND | LOOK_UPS)
async def denied(exchange: Exchange) -> None:
    """The node behind takes it, and the one that is asked afterwards does not know of it yet."""
    if exchange.methods <= SEND:
        await exchange.forward()
        exchange.error(-32603, "internal error")
    else:
        await stale(exchange)


@kind(SEND)
async def nonce_too_low(exchange: Exchange) -> None:
    """It was sent by somebody else's copy, and that is all that is told."""
    await exchange.forward()
    exchange.error(-32000, "nonce too low")


@kind(SEND)
async def nonce_too_low_untrue(exchange: Exchange) -> None:
    exchange.error(-32000, "nonce too low")


@kind(SEND)
async def pool_full(exchange: Exchange) -> None:
    exchange.error(-32000, "txpool is full")


@kind(SEND)
async def underpriced(exchange: Exchange) -> None:
    exchange.error(-32000, "replacement transaction underpriced")


BY_NAME = {each.name: each for each in KINDS}
