"""Which chain is meant, and how to use it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from energy_chain.errors import InvalidInput

EMBEDDED_CHAIN_ID = 131277322940537
"""Chain id of eth-tester's py-evm chain."""

DEVELOPMENT_CHAIN_IDS = {EMBEDDED_CHAIN_ID, 1337, 5777, 31337}
"""Chain ids of the embedded chain, of Ganache, and of anvil and Hardhat."""

EVM_VERSIONS = ("london", "paris", "shanghai", "cancun", "prague", "osaka")
"""Rule sets of the EVM that a network may be said to have, oldest first."""

BYTECODE_EVM_VERSION = "shanghai"
"""The oldest rules that run the contract: what it is compiled for."""


def without_secrets(url: str) -> str:
    """A URL up to its host, without what may be a password or an access key. For errors."""
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + re.split("[/?#]", rest.rpartition("@")[2])[0]


def _is_node_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A chain and how to use it.

    Attributes:
        name: what people call it.
        url: where its node answers; empty for the embedded chain, which runs in this process.
        chain_id: the chain id it must have; None takes the node's word for it.
        evm_version: the rules its blocks follow, one of `EVM_VERSIONS`.
        confirmations: blocks wanted on top of a transaction's own before it counts as done.
        fee_ceiling_gwei: the most to pay for a unit of gas, in gwei; None has no ceiling.
        development: whether keys that everybody knows may be used; None decides by the chain id.
        keystore: folder of the encrypted keys; None is the one in the home folder.
        contract: address of the market there, where it was deployed from another machine.
        simulate: whether a transaction is tried as a call before it is sent, so that a refused one
            costs nothing. Not worth it where gas is free.
        receipt_timeout: seconds to wait until a transaction is mined and confirmed.
        call_timeout: seconds to wait for an answer of the node.
        total_timeout: seconds to wait for one, all tries together.
        replace_after: seconds that a transaction may wait to be mined before more is offered.

    Raises:
        InvalidInput: one of them cannot be.
    """

    # For `settings`: a mistyped name in a file is an error.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    url: str = field(default="", repr=False)  # may hold a password or an access key
    chain_id: int | None = None
    evm_version: str = BYTECODE_EVM_VERSION
    confirmations: int = 0
    fee_ceiling_gwei: Decimal | None = None
    development: bool | None = None
    keystore: Path | None = None
    contract: str | None = None
    simulate: bool = True
    receipt_timeout: float = 60.0
    call_timeout: float = 5.0
    total_timeout: float = 8.0
    replace_after: float = 30.0

    def __post_init__(self) -> None:
        if self.name == "embedded":
            if self.url:
                raise InvalidInput("network embedded runs in this process: leave out its url")
        elif not self.url:
            raise InvalidInput(f"network {self.name} has no url: give that of its node")
        elif not _is_node_url(self.url):
            raise InvalidInput(
                f"the URL of network {self.name} is none of a node: give http:// or https:// "
                "with a host, such as http://127.0.0.1:8545"
            )
        if self.chain_id is not None and self.chain_id < 1:
            raise InvalidInput(f"chain_id {self.chain_id} of {self.name}: give 1 or more")
        if self.evm_version not in EVM_VERSIONS:
            raise InvalidInput(
                f"evm_version {self.evm_version!r} of {self.name}: give one of "
                f"{', '.join(EVM_VERSIONS)}"
            )
        if self.confirmations < 0:
            raise InvalidInput(f"confirmations {self.confirmations} of {self.name}: give 0 or more")
        for what in (
            *("fee_ceiling_gwei", "receipt_timeout", "call_timeout"),
            *("total_timeout", "replace_after"),
        ):
            limit = getattr(self, what)
            if limit is not None and not 0 < float(limit) < float("inf"):
                raise InvalidInput(f"{what} {limit} of {self.name}: give more than 0")

    @property
    def is_development(self) -> bool | None:
        """Whether keys that everybody knows may be used; None while the chain id is not known."""
        if self.development is None and self.chain_id is not None:
            return self.chain_id in DEVELOPMENT_CHAIN_IDS
        return self.development

    @property
    def runs_our_bytecode(self) -> bool:
        """Whether its rules are new enough for the contract."""
        needed = EVM_VERSIONS.index(BYTECODE_EVM_VERSION)
        return EVM_VERSIONS.index(self.evm_version) >= needed


EMBEDDED = Network(name="embedded", chain_id=EMBEDDED_CHAIN_ID, development=True, simulate=False)
GANACHE = Network(name="ganache", url="http://127.0.0.1:7545", chain_id=1337, development=True)
ANVIL = Network(
    name="anvil",
    url="http://127.0.0.1:8545",
    chain_id=31337,
    evm_version="prague",
    development=True,
)
BUILT_IN = (EMBEDDED, GANACHE, ANVIL)


def network_at(url: str) -> Network:
    """The network of an http(s) URL, named after its host.

    Raises:
        InvalidInput: it is no such URL.
    """
    if not _is_node_url(url):
        raise InvalidInput(
            f"{without_secrets(url)!r} is not the URL of a node: give one such as "
            "http://127.0.0.1:8545"
        )
    return Network(name=urlsplit(url).netloc.rpartition("@")[2], url=url)
