"""The page and its API as an ASGI application. It writes nothing and needs no chain.

Nothing is loaded from elsewhere: the description is at /openapi.json, and there are no
pages that would fetch their scripts from a CDN. Other origins may not read the answers,
and a name that is not the server's own is refused, so that no other site can make a
browser read them by pointing its own name here.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energy_chain import __version__
from energy_chain.record.ranges import Sum
from energy_chain.record.store import Record, market_rows
from energy_chain.web.live import Hub, event_text, record_event
from energy_chain.web.markets import markets
from energy_chain.web.meters import Books, meters
from energy_chain.web.metrics import Metrics, Timed
from energy_chain.web.problems import HANDLERS, UNAVAILABLE, Refused, said
from energy_chain.web.schemas import HealthOut
from energy_chain.web.state import State
from energy_chain.web.trades import trades

PAGE = Path(__file__).with_name("page")
SMALLEST_ZIPPED, ZIPPED = 1_000, 4
"""Bytes of an answer that is worth it, and how hard it is tried: the wire is short."""
EVENTS = "/api/events"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; manifest-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_BILL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

live = APIRouter(tags=["live"])


@live.get(
    EVENTS,
    operation_id="listen",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."},
        UNAVAILABLE: said(UNAVAILABLE)[UNAVAILABLE],
    },
)
async def listen(request: Request) -> StreamingResponse:
    """Hear what is new: `record`, `node` and `audit`, first of all how they are."""
    hub: Hub = request.app.state.hub
    listener = hub.join()
    if listener is None:
        raise Refused(UNAVAILABLE, "too many listen already", "close a page, or try again later")
    return StreamingResponse(
        hub.events(listener, _as_it_is(request.app)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _as_it_is(app: FastAPI) -> list[bytes]:
    record: Record = app.state.record
    state: State = app.state.state
    with record.reading() as connection:
        rows = [row for row in market_rows(connection) if row.cursor_hash]
    told = [event_text("record", record_event(row, Sum())) for row in rows]
    for address, standing in state.all().items():
        for name, of in (("node", standing.node), ("audit", standing.audit)):
            told.append(event_text(name, {"address": address, **of.model_dump()}))
    return told


about = APIRouter(tags=["about"])


@about.get("/healthz", operation_id="health", responses={503: said(503)[503]})
def health(request: Request) -> HealthOut:
    """Ask how the server is."""
    record: Record = request.app.state.record
    state: State = request.app.state.state
    with record.reading() as connection:
        number = len(market_rows(connection))
    troubles = [of.node.said for of in state.all().values() if of.node.reachable is False]
    return HealthOut(
        status="degraded" if troubles else "ok", markets=number, trouble=next(iter(troubles), None)
    )


@about.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "For Prometheus."},
        503: said(503)[503],
    },
)
def metrics(request: Request) -> Response:
    """Ask for what Prometheus collects."""
    told: Metrics = request.app.state.metrics
    return Response(told.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def create_app(
    record: Record,
    state: State | None = None,
    hub: Hub | None = None,
    names: tuple[str, ...] = (),
    page: Path = PAGE,
) -> FastAPI:
    """The application.

    Args:
        record: what is shown. It is not changed.
        state: what is known besides the record.
        hub: where events come from.
        names: hosts by which the server may be asked for; any if none is given.
        page: folder of the page's files.
    """
    hub = Hub() if hub is None else hub
    state = State(hub.publish) if state is None else state
    app = FastAPI(
        title="energy-chain",
        version=__version__,
        description="What a neighbourhood trades, each number traced to the chain.",
        docs_url=None,
        redoc_url=None,
        exception_handlers=HANDLERS,
    )
    told = Metrics(record, state, hub)
    app.state.record, app.state.state, app.state.hub = record, state, hub
    app.state.metrics, app.state.books = told, Books()
    for router in (markets, meters, trades, live, about):
        app.include_router(router)
    _add_page(app, page)
    app.add_middleware(GZipMiddleware, minimum_size=SMALLEST_ZIPPED, compresslevel=ZIPPED)
    app.add_middleware(Around, names=names)
    app.add_middleware(Timed, metrics=told, left_out=(EVENTS,))
    return app


def _add_page(app: FastAPI, folder: Path) -> None:
    files = StaticFiles(directory=folder, check_dir=False)

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/page", files)


class Around:
    """Refuses names that are not the server's, and says how browsers are to treat an answer."""

    def __init__(self, app: ASGIApp, names: tuple[str, ...]) -> None:
        self._app = app
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        is_bill = path.endswith("/bill.html")

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                policy = _BILL_POLICY if is_bill else _PAGE_POLICY
                added = {
                    b"content-security-policy": policy.encode(),
                    b"x-content-type-options": b"nosniff",
                    b"referrer-policy": b"no-referrer",
                    b"cache-control": b"no-cache",  # asked for again, and answered 304
                }
                message["headers"] = [
                    *message["headers"],
                    *(item for item in added.items() if item[0] not in given),
                ]
            await send(message)

        if self._names and _host(scope) not in self._names:
            problem = b'{"error":"this server has another name","remedy":"ask for 127.0.0.1"}'
            headers = [(b"content-type", b"application/json")]
            await marked({"type": "http.response.start", "status": 421, "headers": headers})
            await send({"type": "http.response.body", "body": problem})
            return
        await self._app(scope, receive, marked)


def _host(scope: Scope) -> str:
    """The host that a request names, without the port."""
    given = next((value for name, value in scope["headers"] if name == b"host"), b"")
    host = str(given.decode("latin-1")).lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
