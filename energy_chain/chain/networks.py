"""Which chain is meant: the embedded one, or whatever answers at a JSON-RPC URL."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from energy_chain.errors import InvalidInput

EMBEDDED_CHAIN_ID = 131277322940537
"""Chain id of eth-tester's py-evm chain."""

DEVELOPMENT_CHAIN_IDS = {EMBEDDED_CHAIN_ID, 1337, 5777, 31337}
"""Chain ids of the embedded chain, of Ganache, and of anvil and Hardhat."""


@dataclass(frozen=True, slots=True)
class Network:
    """A chain and how to use it.

    Attributes:
        name: what people call it.
        url: where its node answers; empty for the embedded chain, which runs in this process.
        chain_id: the chain id it must have; None takes the node's word for it.
        simulate: whether a transaction is tried as a call before it is sent, so that a refused one
            costs nothing. Not worth it where gas is free.
        receipt_timeout: seconds to wait until a transaction is mined.
        call_timeout: seconds to wait for an answer of the node.
    """

    name: str
    url: str = field(default="", repr=False)  # may hold a password or an access key
    chain_id: int | None = None
    simulate: bool = True
    receipt_timeout: float = 60.0
    call_timeout: float = 5.0


EMBEDDED = Network("embedded", chain_id=EMBEDDED_CHAIN_ID, simulate=False)


def network(name_or_url: str, chain_id: int | None = None) -> Network:
    """The network of a name or of an http(s) URL.

    Raises:
        InvalidInput: it is neither.
    """
    if name_or_url == EMBEDDED.name:
        return EMBEDDED if chain_id is None else replace(EMBEDDED, chain_id=chain_id)
    try:
        parts = urlsplit(name_or_url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known:
        raise InvalidInput(
            f"network {name_or_url.rpartition('@')[2]!r} is unknown: give 'embedded' or the URL "
            "of a node, such as http://127.0.0.1:8545"
        )
    return Network(parts.netloc.rpartition("@")[2], name_or_url, chain_id)
