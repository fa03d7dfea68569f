"""The relay over HTTP. Every answer that is no success is a `Problem`.

Nothing here is loaded from elsewhere: the description is at /openapi.json, and
there are no pages that would fetch their scripts from a CDN.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energy_chain import __version__
from energy_chain.errors import ChainError
from energy_chain.relay.door import BAD_REQUEST, UNAVAILABLE, UNPROCESSABLE, Refused
from energy_chain.relay.schemas import (
    RECEIPT_ID,
    HealthOut,
    Page,
    PageOut,
    Problem,
    ReceiptOut,
    SignedOrderIn,
)
from energy_chain.relay.service import Relay

MOST_BYTES = 4096
"""Of a body. Deeply nested JSON could end the process; so little of it cannot."""
BODY_SECONDS = 10.0
"""A client that takes longer to send its body is cut off."""
RETRY_SECONDS = 5
CLOSE = {"Connection": "close"}

_KNOWN = {*SignedOrderIn.model_fields, *Page.model_fields, "id"}
_REMEDIES = {
    400: "send one JSON object, as /openapi.json describes it",
    404: "look at /openapi.json for what there is",
    405: "look at /openapi.json for the methods of each path",
}


def _problem(
    status: int,
    problem: Problem,
    retry_after: int | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    after = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(problem.model_dump(), status, {**headers, **after})


def _said(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides success, for the description."""
    words = {
        400: "The body is no JSON.",
        404: "There is no order of that receipt id.",
        408: "The body took too long.",
        409: "An order of that meter, kind and period was accepted or posted before.",
        413: f"The body has more than {MOST_BYTES} bytes.",
        422: "A field is not as described here, or the market would refuse the order.",
        429: "Too many requests of this client, or orders of this meter.",
        500: "A fault of the relay.",
        503: "The chain or the store cannot be used, or too many orders wait: try again later.",
    }
    return {status: {"model": Problem, "description": words[status]} for status in statuses}


def _relay(request: Request) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


RelayHere = Annotated[Relay, Depends(_relay)]
ALWAYS = (408, 413, 500, 503)

orders = APIRouter(prefix="/orders", tags=["orders"])
about = APIRouter(tags=["relay"])


@orders.post(
    "",
    status_code=202,
    operation_id="post_order",
    response_description="Accepted: it is stored, and will be posted.",
    responses={
        200: {"model": ReceiptOut, "description": "The same order was accepted before."},
        **_said(400, 409, 422, 429, *ALWAYS),
    },
)
def post_order(order: SignedOrderIn, relay: RelayHere, response: Response) -> ReceiptOut:
    """Give the relay an order that a meter has signed."""
    stored, is_new = relay.door.admit(order)
    response.status_code = 202 if is_new else 200
    response.headers["Location"] = f"/orders/{stored.id}"
    return relay.told(stored)


@orders.get(
    "/{id}",
    operation_id="get_order",
    responses=_said(404, 422, 429, *ALWAYS),
)
def get_order(id: Annotated[str, Path(pattern=RECEIPT_ID)], relay: RelayHere) -> ReceiptOut:
    """Ask what became of an order."""
    found = relay.receipt(id)
    if found is None:
        raise Refused(
            404,
            Problem(
                error="there is no order of that receipt id here",
                remedy="give the id that POST /orders answered, to the relay that did",
            ),
        )
    return found


@orders.get("", operation_id="list_orders", responses=_said(422, 429, *ALWAYS))
def list_orders(page: Annotated[Page, Query()], relay: RelayHere) -> PageOut:
    """List a meter's orders, the oldest first."""
    return relay.page(page.meter, page.after, page.limit)


@about.get("/health", operation_id="health", responses=_said(*ALWAYS))
def health(relay: RelayHere) -> HealthOut:
    """Ask how the relay is, and how many orders are in which state."""
    return relay.health()


def create_app(relay: Relay) -> FastAPI:
    """The relay as an ASGI application."""
    app = FastAPI(
        title="energy-chain relay",
        version=__version__,
        description="Takes orders that meters have signed, and posts them to the market.",
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            Refused: _on_refused,
            RequestValidationError: _on_invalid,
            HTTPException: _on_http,
            ChainError: _on_chain,
            SQLAlchemyError: _on_store,
            Exception: _on_fault,
        },
    )
    app.state.relay = relay
    app.include_router(orders)
    app.include_router(about)
    app.add_middleware(Gate)
    return app


async def _on_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _problem(error.status, error.problem, error.retry_after)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        problem = Problem(error="the body is no JSON", remedy=_REMEDIES[BAD_REQUEST])
        return _problem(BAD_REQUEST, problem)
    # Never the input itself: it may be anything.
    said = sorted({f"{_place(each['loc'])}: {each['msg']}" for each in found})
    problem = Problem(error="; ".join(said), remedy="correct it as /openapi.json describes it")
    return _problem(UNPROCESSABLE, problem)


def _place(where: tuple[int | str, ...]) -> str:
    names = [str(part) for part in where[1:] if part in _KNOWN]
    if names:
        return ".".join(names)
    return "a field that there is not" if len(where) > 1 else str(where[0])


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    remedy = _REMEDIES.get(error.status_code, "look at /openapi.json")
    problem = Problem(error=str(error.detail).lower(), remedy=remedy)
    return _problem(error.status_code, problem, headers=error.headers or {})


async def _on_chain(_: Request, error: Exception) -> Response:
    # What it says may name the node: that is for the relay's own log, which the batcher fills.
    problem = Problem(
        error=f"the chain cannot be used ({type(error).__name__})",
        remedy="try again later, or at another relay",
    )
    return _problem(UNAVAILABLE, problem, RETRY_SECONDS)


async def _on_store(_: Request, error: Exception) -> Response:
    problem = Problem(
        error=f"the relay's store cannot be used ({type(error).__name__})",
        remedy="try again later, or at another relay",
    )
    return _problem(UNAVAILABLE, problem, RETRY_SECONDS)


async def _on_fault(_: Request, __: Exception) -> Response:
    # The server logs it with its traceback; nobody else is shown that.
    return _problem(500, Problem(error="a fault of the relay", remedy="try another relay"))


class Gate:
    """Comes before everything else: counts clients, and refuses large and slow bodies unread."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] != "/health":
            client, relay = scope.get("client"), scope["app"].state.relay
            try:
                relay.door.count_client(client[0] if client else "unknown")
            except Refused as refused:
                answer = _problem(refused.status, refused.problem, refused.retry_after, CLOSE)
                await answer(scope, receive, send)
                return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _small_body(receive)
        except TimeoutError:
            problem = Problem(error="the body took too long", remedy="send it at once")
            await _problem(408, problem, headers=CLOSE)(scope, receive, send)
            return
        if body is None:
            problem = Problem(
                error=f"the body has more than {MOST_BYTES} bytes",
                remedy="send one signed order, which has about 400",
            )
            await _problem(413, problem, headers=CLOSE)(scope, receive, send)
            return
        given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return given.pop() if given else await receive()

        await self._app(scope, again, send)


async def _small_body(receive: Receive) -> bytes | None:
    """A request's body; None when it is large, or its client has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return body
