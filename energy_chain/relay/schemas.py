"""What goes in and out over HTTP. Energies are whole Wh, times Unix seconds.

Nothing is converted on the way in, and no field is known that is not here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from energy_chain.market import MAX_ENERGY
from energy_chain.signing import MAX_PRICE

ADDRESS = "^0x[0-9a-fA-F]{40}$"
RECEIPT_ID = "^[0-9a-f]{64}$"
LARGEST_PAGE = 100

KindName = Literal["request", "release"]
StateName = Literal["accepted", "sent", "on chain", "matched", "refused", "expired"]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SignedOrderIn(_Strict):
    """An order that a meter has signed (EIP-712), and what it was signed for."""

    kind: KindName
    energy_wh: Annotated[int, Field(ge=0, le=MAX_ENERGY, description="1 or more, whole Wh.")]
    limit_price: Annotated[int, Field(ge=0, le=MAX_PRICE, description="Reserved: zero.")] = 0
    period: Annotated[
        int, Field(ge=0, le=2**32 - 1, description="The period that is now, or the next one.")
    ]
    deadline: Annotated[
        int,
        Field(ge=0, le=2**64 - 1, description="Unix time of the last block it may be posted in."),
    ]
    signature: Annotated[
        str,
        Field(
            pattern="^0x([0-9a-fA-F]{128}|[0-9a-fA-F]{130})$",
            description="64 bytes (ERC-2098), or 65 with v, 27 or 28, at the end.",
        ),
    ]
    chain_id: Annotated[int, Field(ge=0, le=2**64 - 1)]
    contract: Annotated[str, Field(pattern=ADDRESS)]
    meter: Annotated[
        str | None,
        Field(pattern=ADDRESS, description="Who is said to have signed; may be left out."),
    ] = None


class Page(_Strict):
    """Which orders to list."""

    model_config = ConfigDict(strict=False, extra="forbid")

    meter: Annotated[str, Field(pattern=ADDRESS, description="Orders of this meter.")]
    after: Annotated[
        int, Field(ge=0, le=2**53, description="`next` of the page before; 0 for the first.")
    ] = 0
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE, description="The most orders.")] = 20


class MatchOut(_Strict):
    """A match of an order."""

    index: Annotated[int, Field(description="The match's number in the market.")]
    energy_wh: int
    partner: Annotated[
        str | None, Field(description="The other meter; null until the chain was asked for it.")
    ]


class ReceiptOut(_Strict):
    """An order and what became of it. Where a field does not apply it is null."""

    id: Annotated[str, Field(pattern=RECEIPT_ID, description="The receipt id.")]
    state: StateName
    meter: str
    kind: KindName
    energy_wh: int
    limit_price: int
    period: int
    deadline: int
    accepted_at: float
    reason: Annotated[
        str | None, Field(description="Why it was refused, in the words of the contract.")
    ]
    remedy: str | None
    transaction: Annotated[
        str | None,
        Field(description="Hash of what it was sent in; another one when that is replaced."),
    ]
    block: Annotated[int | None, Field(description="The block since which it is on chain.")]
    counter: Annotated[int | None, Field(description="Its number in its queue.")]
    matched_wh: int
    matches: list[MatchOut]


class PageOut(_Strict):
    """Orders of a meter, the oldest first."""

    orders: list[ReceiptOut]
    next: Annotated[int | None, Field(description="`after` of the next page; null at the end.")]


class LastBatchOut(_Strict):
    """The latest transaction that posted orders."""

    transaction: str
    orders: int
    sent_at: float
    block: Annotated[int | None, Field(description="null until it is known to be mined.")]
    gas: Annotated[int | None, Field(description="null until it is known to be mined.")]


class HealthOut(_Strict):
    """How the relay is, as of its latest look at the chain."""

    status: Literal["ok", "degraded"]
    trouble: Annotated[
        str | None, Field(description="The kind of error its latest look or batch ended in.")
    ]
    waited_for: Annotated[
        str | None, Field(description="What the node is waited for; null while it answers.")
    ]
    chain_reachable: bool
    chain_id: int
    contract: str
    relayer: Annotated[str, Field(description="The account that pays for posting.")]
    block: int | None
    block_time: int | None
    period: int | None
    paused: bool | None
    waiting: Annotated[int, Field(description="Accepted orders of every period.")]
    oldest_waiting_seconds: Annotated[
        float | None, Field(description="Age of the oldest order that could be posted now.")
    ]
    under_way: Annotated[
        int, Field(description="Transactions of the relayer that are sent and not mined.")
    ]
    oldest_under_way_seconds: Annotated[
        float | None, Field(description="Age of the oldest of them; null when there is none.")
    ]
    last_batch: LastBatchOut | None
    orders: Annotated[dict[StateName, int], Field(description="Orders in each state.")]


class Problem(_Strict):
    """Why a request was not done, and what helps."""

    error: str
    remedy: str
    reason: Annotated[
        str | None,
        Field(description="What the contract would revert with, where it is the one to refuse."),
    ] = None
    receipt: Annotated[
        str | None, Field(description="The receipt id of the order that is in the way.")
    ] = None
