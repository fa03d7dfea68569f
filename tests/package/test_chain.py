"""The way to a chain: networks, connections, transactions, the contract's ledger, the clock.

On the embedded chain, and on the same chain behind JSON-RPC over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from itertools import chain
from threading import Event
from typing import Any

import pytest
from eth_account import Account
from eth_utils import function_signature_to_4byte_selector, keccak
from hexbytes import HexBytes

from energy_chain.chain import connection as connection_module
from energy_chain.chain.addresses import parse_address
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import CALL_GAS, ContractLedger
from energy_chain.chain.networks import EMBEDDED, EMBEDDED_CHAIN_ID, GANACHE, Network, network_at
from energy_chain.chain.sender import TIP, TransactionSender
from energy_chain.errors import (
    ChainError,
    ContradictoryChain,
    InvalidInput,
    InvalidPeriodLength,
    MeterNotRegistered,
    NodeUnreachable,
    NotOurContract,
    NotTheOwner,
    ReceiptTimeout,
    TransactionFailed,
    WrongChain,
    ZeroAddress,
)
from energy_chain.events import Matched, Paused, PeriodOpened, ReleasePosted, RequestPosted
from energy_chain.market import ZERO_ADDRESS, Fill, Match, Meter
from energy_chain.record.audit import audit
from tests.package.chains import (
    ACCOUNTS,
    AGGREGATOR,
    CONSUMER,
    GENESIS_TIME,
    OPERATOR,
    OWNER,
    PERIOD_LENGTH,
    PRODUCER,
    STRANGER,
    last_sent,
    market_on,
    unused_url,
)


@pytest.fixture
def never() -> Iterator[Event]:
    """An event that comes when the test is over."""
    event = Event()
    yield event
    event.set()


# ------------------------------------------------------------------ accounts and addresses


def test_the_development_accounts_are_those_that_everybody_knows() -> None:
    assert OWNER == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert AGGREGATOR == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize("text", [PRODUCER, PRODUCER.lower(), "0x" + PRODUCER[2:].upper()])
def test_an_address_gets_its_checksum(text: str) -> None:
    assert parse_address(text) == PRODUCER


@pytest.mark.parametrize(
    "text",
    [
        PRODUCER[:-1],
        PRODUCER + "0",
        PRODUCER[2:],
        "alice.eth",
        "",
        b"\x01" * 20,
        12,
        None,
    ],
)
def test_what_is_no_address_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput, match="is not an address: give 0x and 40 hexadecimal digits"):
        parse_address(text)


def test_an_address_with_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"the checksum of .* is wrong"):
        parse_address("0x" + PRODUCER[2:].swapcase())


# ------------------------------------------------------------------ networks


def test_a_chain_id_holds_for_the_embedded_network_too() -> None:
    with pytest.raises(WrongChain):
        Connection.open(replace(EMBEDDED, chain_id=5))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8545", "https://node.example/path"])
def test_a_url_is_a_network_named_after_its_host(url: str) -> None:
    found = network_at(url)
    assert (found.url, found.chain_id) == (url, None)
    assert found.name == url.split("/")[2]


@pytest.mark.parametrize(
    "name",
    ["mainnet", "", "127.0.0.1:8545", "ftp://node.example", "http://", "http://[::1", "file:///x"],
)
def test_any_other_network_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not the URL of a node: give one such as"):
        network_at(name)


def test_the_credentials_of_a_url_are_not_in_the_networks_name_or_repr() -> None:
    found = network_at("https://user:secret@node.example/key")
    assert found.url == "https://user:secret@node.example/key"
    assert found.name == "node.example"
    assert "secret" not in repr(found)
    assert "/key" not in repr(found)


def test_the_credentials_of_a_refused_url_are_not_in_the_error() -> None:
    with pytest.raises(InvalidInput) as error:
        network_at("htp://user:secret@node.example")
    assert "secret" not in str(error.value)


def test_the_credentials_of_a_url_are_not_in_the_error_of_a_node_that_does_not_answer() -> None:
    url = unused_url().replace("//", "//user:secret@")
    with pytest.raises(NodeUnreachable) as error:
        Connection.open(network_at(url))
    assert "secret" not in str(error.value)


def test_no_repr_shows_a_password_or_a_key(node: Any) -> None:
    connection = Connection.open(network_at(node.url.replace("//", "//user:secret@")))
    sender = TransactionSender(connection, ACCOUNTS)
    shown = f"{connection!r} {connection.network!r} {sender!r} {market_on(connection)!r}"
    assert "secret" not in shown
    assert not [a for a in ACCOUNTS if a.key.hex() in shown]
    assert repr(sender) == f"<TransactionSender of 6 accounts on {connection.network.name}>"


def test_a_network_is_not_simulated_on_where_gas_is_free() -> None:
    assert not EMBEDDED.simulate
    assert network_at("http://node.example").simulate


# ------------------------------------------------------------------ connections


def test_a_connection_knows_its_chain(connection: Connection) -> None:
    assert connection.chain_id == EMBEDDED_CHAIN_ID
    assert connection.is_development
    assert connection.block_time() == GENESIS_TIME
    assert connection.block_gas_limit() == 30_000_000


def test_another_chain_than_the_one_asked_for_is_refused(node: Any) -> None:
    with pytest.raises(WrongChain, match=rf"serves chain {EMBEDDED_CHAIN_ID}, not 1337"):
        Connection.open(replace(network_at(node.url), chain_id=1337))


def test_a_public_chain_is_no_development_chain(serve: Callable[..., str]) -> None:
    url = serve(lambda *_: {"result": "0x1"})
    assert not Connection.open(network_at(url)).is_development


def test_a_node_of_network_ganache_that_does_not_run_can_be_started() -> None:
    for name, hinted in ("ganache", True), ("pilot", False):
        with pytest.raises(NodeUnreachable) as error:
            Connection.open(Network(name=name, url=unused_url()))
        assert str(error.value).endswith("; energy-chain ganache starts one") is hinted


def test_another_chain_than_the_one_asked_for_names_the_settings_to_look_at(node: Any) -> None:
    with pytest.raises(WrongChain, match=r"check url and chain_id of network pilot$"):
        Connection.open(Network(name="pilot", url=node.url, chain_id=12345))


@pytest.mark.parametrize(
    ("said", "chain_id", "development"),
    [
        (None, "0x539", True),
        (None, "0x7a69", True),
        (None, "0x1", False),
        (True, "0x1", True),
        (False, "0x539", False),
    ],
)
def test_a_chain_is_for_development_as_its_network_says_or_by_its_chain_id(
    serve: Callable[..., str], said: bool | None, chain_id: str, development: bool
) -> None:
    url = serve(lambda *_: {"result": chain_id})
    network = replace(network_at(url), development=said)
    assert Connection.open(network).is_development is development


def test_a_chain_whose_blocks_are_signed_in_their_extra_data_is_read(
    node: Any, http: Connection
) -> None:
    ledger = market_on(http)
    genesis = http.genesis()

    def signed(params: list[Any]) -> Any:
        block = node.on_chain("eth_getBlockByNumber", params)["result"]
        return {"result": {**block, "extraData": "0x" + "ab" * 97}}

    node.replaced["eth_getBlockByNumber"] = signed
    assert http.genesis() == genesis
    assert http.block_time() == GENESIS_TIME + 2
    assert ledger.pause().events == (Paused(OWNER),)
    assert len(list(ledger.history())) == 3


def test_a_chain_is_known_by_its_first_block(connection: Connection) -> None:
    genesis = connection.genesis()
    assert len(HexBytes(genesis)) == 32
    market_on(connection)
    assert connection.genesis() == genesis
    other = Connection.open(EMBEDDED, [OWNER], GENESIS_TIME + 1)
    assert other.genesis() != genesis


def test_a_connection_tells_what_an_account_owns(connection: Connection) -> None:
    assert connection.balance(STRANGER) == 10**24
    assert connection.balance(STRANGER.lower()) == 10**24
    assert connection.balance(ZERO_ADDRESS) == 0


def test_the_time_of_any_block_can_be_asked_for(connection: Connection) -> None:
    connection.advance_time(60)
    assert connection.block_time(0) == GENESIS_TIME
    assert connection.block_time() > GENESIS_TIME + 59


def test_a_node_that_does_not_run_is_unreachable() -> None:
    with pytest.raises(NodeUnreachable, match="check that a node runs there"):
        Connection.open(network_at(unused_url()))


def test_a_node_that_does_not_answer_is_told_with_its_host_and_no_secret() -> None:
    url = unused_url()
    secret = url.replace("://", "://anna:canary@") + "/key-canary"
    with pytest.raises(NodeUnreachable, match=f"from ganache at {url} ") as error:
        Connection.open(replace(GANACHE, url=secret))
    assert "canary" not in str(error.value)


def test_a_node_that_hangs_is_given_up(serve: Callable[..., str], never: Event) -> None:
    url = serve(lambda *_: never.wait(60) and {})
    with pytest.raises(NodeUnreachable, match="no usable answer to eth_chainId"):
        Connection.open(replace(network_at(url), call_timeout=0.1))


@pytest.mark.parametrize(
    "reply",
    [
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.TOO_MANY_REQUESTS,
        b"<html>",
        b"",
        b"{",
        b"[]",
        b"3",
        b"{}",
        {},
        {"result": None},
        {"result": "many"},
    ],
    ids=str,
)
def test_an_answer_that_is_no_chain_id_makes_a_node_unreachable(
    serve: Callable[..., str], reply: Any
) -> None:
    with pytest.raises(NodeUnreachable):
        Connection.open(network_at(serve(lambda *_: reply)))


def busy(node: Any, method: str, times: int, reply: Any) -> list[str]:
    """The node answers a method only after so many tries; returns those tries."""
    asked: list[str] = []

    def answer(params: list[Any]) -> Any:
        asked.append(method)
        return reply if len(asked) <= times else node.on_chain(method, params)

    node.replaced[method] = answer
    return asked


def test_who_mistyped_a_url_waits_for_nothing(node: Any) -> None:
    asked = busy(node, "eth_chainId", 1, HTTPStatus.SERVICE_UNAVAILABLE)
    with pytest.raises(NodeUnreachable):
        Connection.open(network_at(node.url))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.TOO_MANY_REQUESTS,
        b"<html>",
        b'{"jsonrpc": "2.0", "id": 123456789, "result": "0x1"}',
        {"result": "many"},
        {"result": None},
        {"error": {"code": -32005, "message": "limit exceeded"}},
        {"error": {"code": -32603, "message": "internal error"}},
        {"error": {"code": -32000, "message": "header not found"}},
        {"error": {"code": -32602, "message": "BlockOutOfRangeError: block height is 3"}},
    ],
    ids=str,
)
def test_a_node_that_cannot_answer_for_a_moment_is_asked_again(
    node: Any, http: Connection, reply: Any
) -> None:
    asked = busy(node, "eth_blockNumber", 2, reply)
    assert http.w3.eth.block_number == 0
    assert len(asked) == 3
    assert http.trouble is None


def test_a_node_that_says_there_is_no_latest_block_is_asked_again(
    node: Any, http: Connection
) -> None:
    asked = busy(node, "eth_getBlockByNumber", 2, {"result": None})
    assert http.block_time() == GENESIS_TIME
    assert len(asked) == 3


def test_a_block_that_a_node_has_lost_is_an_error_of_ours(node: Any, http: Connection) -> None:
    ledger = market_on(http)
    node.replaced["eth_getBlockByNumber"] = lambda _: {"result": None}
    assert http.header(1) is None
    for ask in (lambda: http.block_time(1), lambda: list(ledger.history())):
        with pytest.raises(ContradictoryChain, match=r"has no block 1: .* try again"):
            ask()


def test_a_node_that_is_gone_is_asked_for_no_longer_than_was_said_and_then_less_often(
    node: Any,
) -> None:
    connection = patient(node, total_timeout=0.3)
    asked = busy(node, "eth_blockNumber", 1_000, HTTPStatus.SERVICE_UNAVAILABLE)
    with pytest.raises(NodeUnreachable, match=r"no usable answer to eth_blockNumber .*HTTP 503"):
        _ = connection.w3.eth.block_number
    tried = len(asked)
    assert tried > 1
    for _ in range(5):
        with pytest.raises(NodeUnreachable) as error:
            _ = connection.w3.eth.block_number
        assert str(error.value) == connection.trouble
    assert len(asked) == tried


@pytest.mark.parametrize("method", ["eth_getLogs", "eth_blockNumber", "eth_getBlockByNumber"])
def test_a_node_that_refuses_to_tell_is_an_error_of_ours(
    node: Any, http: Connection, method: str
) -> None:
    ledger = market_on(http)
    node.replaced[method] = lambda _: {"error": {"code": -32000, "message": "limit exceeded"}}
    with pytest.raises(ChainError, match=f"refused {method}.*limit exceeded"):
        list(ledger.history())


def test_the_clock_of_a_development_chain_can_be_moved(connection: Connection) -> None:
    connection.advance_time(3600)
    assert connection.block_time() >= GENESIS_TIME + 3600


def test_a_node_without_such_a_clock_says_so(node: Any, http: Connection) -> None:
    node.replaced["evm_increaseTime"] = lambda _: {
        "error": {"code": -32601, "message": "the method evm_increaseTime does not exist"}
    }
    with pytest.raises(ChainError, match=r"cannot move its clock \(evm_increaseTime\)"):
        http.advance_time(60)


# ------------------------------------------------------------------ the market on a chain


def test_a_day_in_the_life_of_a_market(connection: Connection) -> None:
    ledger = market_on(connection)
    producer, consumer = ledger.as_account(PRODUCER), ledger.as_account(CONSUMER)
    period = ledger.current_period()
    opened = PeriodOpened(period, 0, 0)
    assert producer.post_request(PRODUCER, 70).events == (opened, RequestPosted(PRODUCER, 0, 70))
    assert consumer.post_release(CONSUMER, 30).events == (ReleasePosted(CONSUMER, 0, 30),)
    receipt = ledger.as_account(AGGREGATOR).match_energy(20)
    assert receipt.fills == (Fill(1, 2, 20),)
    assert receipt.gas_used > 21_000
    assert consumer.latest_match(CONSUMER) == (PRODUCER, 20)
    consumer.consume_match(0, 5)
    assert ledger.matches_of(CONSUMER) == [Match(0, PRODUCER, CONSUMER, 15)]
    assert ledger.request_energy(PRODUCER) == 50
    assert ledger.meter(PRODUCER) == Meter(1, PRODUCER)


def test_the_history_is_what_the_receipts_said(connection: Connection) -> None:
    ledger = market_on(connection)
    receipts = [
        ledger.as_account(PRODUCER).post_request(PRODUCER, 7),
        ledger.as_account(CONSUMER).post_release(CONSUMER, 9),
        ledger.match_pending(1),
    ]
    history = list(ledger.history())[2:]
    assert [(r.events, r.transaction, r.block) for r in history] == [
        (r.events, r.transaction, r.block) for r in receipts
    ]
    blocks = [connection.w3.eth.get_block(r.block) for r in history]
    assert [r.timestamp for r in history] == [block["timestamp"] for block in blocks]
    assert history[-1].events == (Matched(0, (Fill(1, 2, 7),)),)


def test_a_history_read_in_chunks_is_the_same(
    node: Any, http: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = market_on(http)
    for energy in range(1, 6):
        ledger.as_account(PRODUCER).post_request(PRODUCER, energy)
    whole = list(ledger.history())
    node.asked.clear()
    monkeypatch.setattr(connection_module, "LOG_CHUNK", 2)
    assert list(ledger.history()) == whole
    asked = [params[0] for method, params in node.asked if method == "eth_getLogs"]
    ranges = [(int(a["fromBlock"], 16), int(a["toBlock"], 16)) for a in asked]
    assert ranges == [(1, 2), (3, 4), (5, 6), (7, 7)]


def test_a_ledger_of_no_contract_is_refused(connection: Connection) -> None:
    sender = TransactionSender(connection, ACCOUNTS)
    with pytest.raises(NotOurContract, match="there is no contract at"):
        ContractLedger(sender, STRANGER, OWNER)


def test_a_ledger_of_another_contract_is_refused(node: Any, http: Connection) -> None:
    node.replaced["eth_getCode"] = lambda _: {"result": "0x6000"}
    with pytest.raises(NotOurContract, match="there is another contract at"):
        ContractLedger(TransactionSender(http, ACCOUNTS), STRANGER, OWNER)


def test_a_deployment_that_the_constructor_refuses_is_that_refusal(connection: Connection) -> None:
    sender = TransactionSender(connection, ACCOUNTS)
    with pytest.raises(InvalidPeriodLength):
        ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, 59)
    with pytest.raises(ZeroAddress):
        ContractLedger.deploy(sender, OWNER, ZERO_ADDRESS, OPERATOR, 60)


@pytest.mark.parametrize("period_length", [-1, True, 60.0, "60"])
def test_a_period_length_that_is_no_number_of_seconds_is_refused(
    embedded: Connection, period_length: Any
) -> None:
    sender = TransactionSender(embedded, ACCOUNTS)
    with pytest.raises(InvalidInput, match="is not a count"):
        ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, period_length)


def test_as_many_matches_are_asked_for_as_fit_a_block(node: Any, http: Connection) -> None:
    ledger = market_on(http)
    assert ledger.max_matches() == 256

    def small_block(params: list[Any]) -> Any:
        reply = node.on_chain("eth_getBlockByNumber", params)
        return {"result": {**reply["result"], "gasLimit": hex(1_200_000)}}

    node.replaced["eth_getBlockByNumber"] = small_block
    assert ledger.max_matches() == 100


# ------------------------------------------------------------------ as of one block


def test_a_ledger_of_the_latest_block_stands_still_while_trading_goes_on(
    connection: Connection,
) -> None:
    ledger = market_on(connection)
    producer, consumer = ledger.as_account(PRODUCER), ledger.as_account(CONSUMER)
    producer.post_request(PRODUCER, 70)
    consumer.post_release(CONSUMER, 30)
    as_of = ledger.at_latest_block()
    assert ledger.block is None
    assert as_of.block == connection.w3.eth.block_number

    def seen(ledger: ContractLedger) -> tuple[Any, ...]:
        return (
            ledger.match_counter(),
            ledger.request_counter(),
            ledger.requests_outstanding(),
            ledger.request_energy(PRODUCER),
            ledger.match_at(0),
            ledger.request_ring(),
            ledger.release_ring(),
            ledger.paused(),
            ledger.current_period(),
            ledger.meter_count(),
            ledger.meter(STRANGER),
            list(ledger.history()),
        )

    before = seen(as_of)
    assert before[:4] == (0, 1, 1, 70)
    assert before == seen(ledger)
    ledger.match_pending(1)
    connection.advance_time(PERIOD_LENGTH)
    producer.post_request(PRODUCER, 5)
    producer.post_request(PRODUCER, 6)
    consumer.post_release(CONSUMER, 40)
    ledger.register_meters([STRANGER])
    ledger.pause()
    assert seen(as_of) == before
    assert as_of.as_account(STRANGER).request_ring() == as_of.request_ring()
    assert as_of.as_account(STRANGER).block == as_of.block
    after = seen(ledger)
    assert all(is_now != was for is_now, was in zip(after, before, strict=True))
    assert after[:4] == (1, 3, 2, 11)
    assert seen(ledger.at_latest_block()) == after


def test_the_ledger_of_a_block_before_the_contract_has_nothing_to_read(
    connection: Connection,
) -> None:
    ledger = market_on(connection)
    as_of = ledger.at_latest_block()
    as_of._block = 0
    with pytest.raises(TransactionFailed, match="the node refused owner"):
        as_of.owner()
    assert list(as_of.history()) == []


def test_the_audit_of_a_block_is_clean_while_trading_goes_on(connection: Connection) -> None:
    ledger = market_on(connection)
    ledger.as_account(PRODUCER).post_request(PRODUCER, 70)
    ledger.as_account(CONSUMER).post_release(CONSUMER, 30)
    ledger.match_pending(1)
    as_of = ledger.at_latest_block()
    history = as_of.history()
    first = next(history)  # the audit has begun
    ledger.as_account(CONSUMER).consume_match(0, 30)
    connection.advance_time(PERIOD_LENGTH)
    ledger.as_account(PRODUCER).post_request(PRODUCER, 9)
    report = audit(chain([first], history), as_of)
    assert report.difference == ""
    assert report.clean
    assert (report.transactions, report.matches, report.consumed) == (5, 1, 0)
    assert (report.requests.posted, report.requests.outstanding) == (70, 40)
    later = audit(ledger.history(), ledger)
    assert later.clean
    assert (later.transactions, later.consumed, later.requests.expired) == (7, 30, 40)
    # What is read must be of one block: the record of one with the state of another is a fault.
    assert not audit(as_of.history(), ledger).clean


# ------------------------------------------------------------------ a deployment is tried


@pytest.mark.parametrize(
    ("function", "reply"),
    [
        ("period_length()", {"result": "0x" + "0" * 64}),
        ("owner()", {"result": "0x" + STRANGER[2:].lower().rjust(64, "0")}),
        ("aggregator()", {"result": "0x"}),
        ("metering_operator()", {"error": {"code": -32000, "message": "invalid opcode: PUSH0"}}),
    ],
)
def test_a_contract_that_does_not_answer_as_it_should_is_not_ours(
    node: Any, http: Connection, function: str, reply: Any
) -> None:
    selector = function_signature_to_4byte_selector(function).hex()

    def call(params: list[Any]) -> Any:
        asked = params[0].get("data", "").removeprefix("0x") == selector
        return reply if asked else node.on_chain("eth_call", params)

    node.replaced["eth_call"] = call
    sender = TransactionSender(http, ACCOUNTS)
    with pytest.raises(NotOurContract, match=r"deployed at 0x\w{40} says .* do not use it"):
        ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH)
    node.replaced.clear()
    ledger = ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH)
    assert ledger.period_length() == PERIOD_LENGTH


# ------------------------------------------------------------------ transactions


def test_chain_id_nonce_gas_and_fees_are_explicit_in_what_is_signed(
    node: Any, http: Connection
) -> None:
    ledger = market_on(http)
    base_fee = http.w3.eth.get_block("latest")["baseFeePerGas"]
    ledger.pause()
    sent = last_sent(node)
    assert sent["chainId"] == EMBEDDED_CHAIN_ID
    assert sent["nonce"] == 2  # after the deployment and the registration
    assert sent["gas"] == CALL_GAS
    assert sent["maxFeePerGas"] == 2 * base_fee + TIP
    assert sent["maxPriorityFeePerGas"] == TIP
    assert Account.recover_transaction(node.sent()[-1]) == OWNER


def test_a_chain_without_a_base_fee_gets_a_gas_price(node: Any, http: Connection) -> None:
    ledger = market_on(http)

    def before_london(params: list[Any]) -> Any:
        block = node.on_chain("eth_getBlockByNumber", params)["result"]
        return {"result": {key: block[key] for key in block if key != "baseFeePerGas"}}

    node.replaced["eth_getBlockByNumber"] = before_london
    ledger.pause()
    assert HexBytes(node.sent()[-1])[0] >= 0xC0  # a list: of no type
    assert Account.recover_transaction(node.sent()[-1]) == OWNER


def test_the_node_estimates_nothing_and_signs_nothing(node: Any, http: Connection) -> None:
    market_on(http)
    assert not {"eth_estimateGas", "eth_accounts", "eth_sendTransaction"} & set(node.methods())


def test_an_account_without_a_key_cannot_send(embedded: Connection) -> None:
    sender = TransactionSender(embedded, ACCOUNTS[:1])
    with pytest.raises(InvalidInput, match=f"there is no key for {STRANGER}.*sends greet"):
        sender.send(STRANGER, OWNER, "0x", 21_000, "greet")


def test_a_refusal_of_the_contract_names_its_reason(connection: Connection) -> None:
    ledger = market_on(connection)
    with pytest.raises(NotTheOwner, match=r"^energy: sender is not the owner \[pause\(\)\]: send"):
        ledger.as_account(STRANGER).pause()
    with pytest.raises(MeterNotRegistered):
        ledger.as_account(STRANGER).post_request(STRANGER, 1)


def test_a_call_that_would_be_refused_is_not_sent_to_a_node(node: Any, http: Connection) -> None:
    ledger = market_on(http)
    sent = len(node.sent())
    with pytest.raises(NotTheOwner):
        ledger.as_account(STRANGER).pause()
    assert len(node.sent()) == sent


def test_a_refusal_that_was_mined_names_its_reason_too(node: Any) -> None:
    connection = Connection.open(replace(network_at(node.url), simulate=False))
    ledger = market_on(connection).as_account(STRANGER)
    sent = len(node.sent())
    with pytest.raises(NotTheOwner):
        ledger.pause()
    assert len(node.sent()) == sent + 1


def test_calls_go_on_after_a_refusal(connection: Connection) -> None:
    ledger = market_on(connection)
    with pytest.raises(MeterNotRegistered):
        ledger.retire_meter(STRANGER)
    assert ledger.pause().events == (Paused(OWNER),)


def test_a_transaction_mined_without_effect_has_failed(node: Any, http: Connection) -> None:
    ledger = market_on(http)

    def failed(params: list[Any]) -> Any:
        reply = node.on_chain("eth_getTransactionReceipt", params)
        return {"result": {**reply["result"], "status": "0x0"}}

    node.replaced["eth_getTransactionReceipt"] = failed
    with pytest.raises(TransactionFailed, match=r"set_aggregator.* was mined without effect"):
        ledger.set_aggregator(STRANGER)


def test_a_transaction_that_runs_out_of_gas_has_failed(node: Any) -> None:
    connection = Connection.open(replace(network_at(node.url), simulate=False))
    ledger = market_on(connection)
    sender = TransactionSender(connection, ACCOUNTS)
    with pytest.raises(TransactionFailed, match="pause"):
        sender.send(OWNER, ledger.address, "0x8456cb59", 22_000, "pause")
    assert not ledger.paused()


@pytest.mark.parametrize(
    "message", ["insufficient funds for gas * price + value", "nonce too low", "already known"]
)
def test_a_transaction_that_the_node_refuses_has_failed(
    node: Any, http: Connection, message: str
) -> None:
    ledger = market_on(http)
    node.replaced["eth_sendRawTransaction"] = lambda _: {
        "error": {"code": -32000, "message": message}
    }
    with pytest.raises(TransactionFailed, match=f"the node refused pause.*{message[:9]}"):
        ledger.pause()
    node.replaced.clear()
    assert ledger.pause().events == (Paused(OWNER),)


def patient(node: Any, **settings: Any) -> Connection:
    """A connection with settings of its own."""
    return Connection.open(replace(network_at(node.url), **settings))


def without_receipts(node: Any) -> Connection:
    """Transactions are mined, but nobody tells."""
    node.replaced["eth_getTransactionReceipt"] = lambda _: {"result": None}
    return patient(node, receipt_timeout=0.1)


def test_a_transaction_that_is_not_mined_in_time_is_named(node: Any) -> None:
    sender = TransactionSender(without_receipts(node), ACCOUNTS)
    with pytest.raises(ReceiptTimeout, match="greet was not seen mined in time") as error:
        sender.send(OWNER, STRANGER, "0x", 21_000, "greet")
    (sent,) = node.sent()
    assert keccak(HexBytes(sent)).hex() in str(error.value)


def test_the_next_transaction_queues_behind_one_that_is_not_mined_yet(node: Any) -> None:
    sender = TransactionSender(without_receipts(node), ACCOUNTS)
    for nonce in range(2):
        with pytest.raises(ReceiptTimeout):
            sender.send(OWNER, STRANGER, "0x", 21_000, "greet")
        assert last_sent(node)["nonce"] == nonce


@pytest.mark.parametrize("reply", [HTTPStatus.BAD_GATEWAY, b"<html>"], ids=["status", "html"])
def test_a_transaction_whose_answer_is_lost_is_found_and_not_sent_again(
    node: Any, http: Connection, reply: Any
) -> None:
    ledger = market_on(http)
    sent = len(node.sent())

    def lose(params: list[Any]) -> Any:
        node.on_chain("eth_sendRawTransaction", params)
        return reply

    node.replaced["eth_sendRawTransaction"] = lose
    ledger.pause()
    assert len(node.sent()) == sent + 1
    node.replaced.clear()
    ledger.unpause()
    assert not ledger.paused()


@pytest.mark.parametrize(
    "reply",
    [HTTPStatus.BAD_GATEWAY, {"error": {"code": -32005, "message": "limit exceeded"}}],
    ids=["status", "refused"],
)
def test_a_receipt_that_the_node_does_not_give_leaves_it_open_whether_it_was_mined(
    node: Any, http: Connection, reply: Any
) -> None:
    market = market_on(http)
    sender = TransactionSender(patient(node, total_timeout=0.2), ACCOUNTS)
    ledger = ContractLedger(sender, market.address, OWNER)
    sent = len(node.sent())
    node.replaced["eth_getTransactionReceipt"] = lambda _: reply
    with pytest.raises(ReceiptTimeout, match="it is in the outbox as transaction 0x") as error:
        ledger.pause()
    assert len(node.sent()) == sent + 1
    assert keccak(HexBytes(node.sent()[-1])).hex() in str(error.value)
    assert market.paused()


def test_a_node_that_dies_before_anything_is_sent_is_unreachable(
    node: Any, http: Connection
) -> None:
    market = market_on(http)
    sender = TransactionSender(patient(node, total_timeout=0.2), ACCOUNTS)
    ledger = ContractLedger(sender, market.address, OWNER)
    sent = len(node.sent())
    node.replaced["eth_call"] = lambda _: HTTPStatus.SERVICE_UNAVAILABLE
    with pytest.raises(NodeUnreachable):
        ledger.pause()
    assert len(node.sent()) == sent
