"""A node over HTTP: asked again while there is hope, never for longer than was said.

A network loses packets, a node restarts, a provider says "too many requests".
What only reads is asked again, until an answer comes that has the form it should
have or a total time is over. After that the circuit is open: calls fail at once,
and only one every few seconds reaches out, until the node answers again.

A transaction is never sent twice from here: whoever sends looks afterwards what
became of it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from threading import local
from typing import Any

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from energy_chain.chain.deadlines import TimedSession
from energy_chain.chain.networks import GANACHE, Network, without_secrets
from energy_chain.errors import ChainError, NodeUnreachable

CIRCUIT_SECONDS = 2.0
"""How long nobody is asked once the total time was used up."""
LONGEST_PAUSE = 2.0
"""Seconds between two tries, where the node does not ask for more."""
NO_ANSWERS = {-32603, -32005}
"""Errors that say nothing of the question: internal error, limit exceeded (EIP-1474)."""
NOT_YET = ("BlockOutOfRange", "header not found", "unknown block")
"""What nodes say of a block that they have just told of, and had lost or not had when asked."""
MAY_BE_UNKNOWN = {"eth_getBlockReceipts", "eth_maxPriorityFeePerGas"}
"""Methods that some nodes do not have, whatever they call that."""
MAY_BE_REFUSED = {
    *("eth_call", "eth_sendRawTransaction", "eth_getTransactionReceipt"),
    "eth_getBlockReceipts",
    *("evm_increaseTime", "evm_mine", "eth_maxPriorityFeePerGas"),
}
"""Methods whose callers look at the node's error themselves."""
ALWAYS_THERE = ("latest", "0x0")
"""Blocks that every chain has."""
ASKED_ONCE = ("eth_send", "evm_", "anvil_")
"""Beginnings of methods that change something."""

_QUANTITY = re.compile(r"0x[0-9a-fA-F]+").fullmatch
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*").fullmatch
_HASH = re.compile(r"0x[0-9a-fA-F]{64}").fullmatch


def _is_quantity(result: Any) -> bool:
    return isinstance(result, str) and _QUANTITY(result) is not None


def _is_data(result: Any) -> bool:
    return isinstance(result, str) and _DATA(result) is not None


def _is_hash(result: Any) -> bool:
    return isinstance(result, str) and _HASH(result) is not None


def _object_of(**forms: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """What tells null, or an object with fields of these forms."""
    return lambda result: (
        result is None
        or (
            isinstance(result, dict)
            and all(has_form(result.get(name)) for name, has_form in forms.items())
        )
    )


def _are_objects(result: Any) -> bool:
    return isinstance(result, list) and all(isinstance(each, dict) for each in result)


_is_block = _object_of(hash=_is_hash, number=_is_quantity, timestamp=_is_quantity)

FORMS: dict[str, Callable[[Any], bool]] = {
    "eth_chainId": _is_quantity,
    "eth_blockNumber": _is_quantity,
    "eth_gasPrice": _is_quantity,
    "eth_getBalance": _is_quantity,
    "eth_getTransactionCount": _is_quantity,
    "eth_call": _is_data,
    "eth_getCode": _is_data,
    "eth_getStorageAt": _is_data,
    "eth_sendRawTransaction": _is_hash,
    "eth_getBlockByHash": _is_block,
    "eth_getBlockByNumber": _is_block,
    "eth_getTransactionByHash": _object_of(),
    "eth_getTransactionReceipt": _object_of(
        transactionHash=_is_hash, blockHash=_is_hash, blockNumber=_is_quantity, logs=_are_objects
    ),
    "eth_getLogs": _are_objects,
}
"""What results look like (Ethereum's execution API): others are no answer."""


class _NoAnswerError(Exception):
    """The node gave no usable answer; it may have said how many seconds to wait."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class NodeProvider(HTTPProvider):
    """A node's answers, whose failures are errors of ours.

    Attributes:
        patient: whether reads are tried again. Not before a node has answered at all: somebody who
            mistyped a URL waits for nothing.
        trouble: what the node is waited for, while it is; for `status`.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(network.url, exception_retry_configuration=None)
        self.patient = False
        self.trouble: str | None = None
        self._network = network
        self._closed_until = 0.0
        self._sessions = local()  # each thread its own
        is_ganache = network.name == GANACHE.name
        self._hint = "; energy-chain ganache starts one" if is_ganache else ""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        name = self._network.name
        if self.trouble and time.monotonic() < self._closed_until:
            raise NodeUnreachable(self.trouble)
        once = not self.patient or method.startswith(ASKED_ONCE)
        total = self._network.call_timeout if once else self._network.total_timeout
        deadline = time.monotonic() + total
        tries = Retrying(
            stop=stop_before_delay(0 if once else total),
            wait=_pause,
            retry=retry_if_exception_type(_NoAnswerError),
            reraise=True,
        )
        try:
            response: RPCResponse = tries(self._ask, method, params, deadline)
        except _NoAnswerError as error:
            trouble = (
                f"no usable answer to {method} from {name} at "
                f"{without_secrets(self._network.url)} ({error}): "
                f"check that a node runs there and speaks JSON-RPC{self._hint}"
            )
            if self.patient:
                self.trouble = trouble
                self._closed_until = time.monotonic() + CIRCUIT_SECONDS
            raise NodeUnreachable(trouble) from None  # what it says may hold the URL's password
        self.trouble = None
        if "error" in response and method not in MAY_BE_REFUSED:
            raise ChainError(f"{name} refused {method}: {response['error']}")
        return response

    def _ask(self, method: RPCEndpoint, params: Any, deadline: float) -> RPCResponse:
        # No longer than one answer may take, and than what is left of all of them.
        limit = min(time.monotonic() + self._network.call_timeout, deadline)
        request = self.encode_rpc_request(method, params)
        try:
            response = self.decode_rpc_response(self._answer(request, limit))
        except (requests.RequestException, ValueError) as error:
            raise _NoAnswerError(type(error).__name__) from None
        if not isinstance(response, dict) or not response.keys() & {"result", "error"}:
            raise _NoAnswerError("neither result nor error")
        if response.get("id") not in (None, json.loads(request)["id"]):
            raise _NoAnswerError("the answer to another question")
        if "error" in response:
            if method not in MAY_BE_UNKNOWN and _says_nothing(response["error"]):
                raise _NoAnswerError(f"error {response['error'].get('message')!r}")
        elif not _is_answer(method, params, response["result"]):
            raise _NoAnswerError("a result of another form")
        return response

    def _answer(self, request: bytes, limit: float) -> bytes:
        left = max(limit - time.monotonic(), 0.001)
        session = self._sessions.__dict__.setdefault("session", TimedSession())
        with (
            session.within(left),
            session.post(
                self._network.url, data=request, headers=self.get_request_headers(), timeout=left
            ) as response,
        ):
            if not response.ok:
                raise _NoAnswerError(f"HTTP {response.status_code}", _retry_after(response))
            return bytes(response.content)


def _says_nothing(error: Any) -> bool:
    """Whether a node's error leaves open what the answer is; some tell reverts that way too."""
    if not isinstance(error, dict) or error.get("data"):
        return False
    said = str(error.get("message"))
    if any(words in said for words in NOT_YET):
        return True
    return error.get("code") in NO_ANSWERS and "revert" not in said


def _is_answer(method: str, params: Any, result: Any) -> bool:
    """Whether a result has the form that its method's results have; of some none is known."""
    if method == "eth_getBlockByNumber" and result is None:
        return params[0] not in ALWAYS_THERE
    has_form = FORMS.get(method)
    return has_form is None or has_form(result)


def _pause(state: RetryCallState) -> float:
    """Seconds until the next try: what the node asks for, or longer each time and by chance."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _NoAnswerError) else None
    backoff: float = wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE)(state)
    return backoff if asked is None else max(asked, backoff)


def _retry_after(response: requests.Response) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3); its dates are not read."""
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
