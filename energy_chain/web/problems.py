"""What is not answered, and why: every answer that is no success is a `Problem`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from energy_chain.errors import InvalidInput
from energy_chain.web.schemas import Problem

NOT_MODIFIED, NOT_FOUND, UNPROCESSABLE, UNAVAILABLE = 304, 404, 422, 503
RETRY_SECONDS = "5"

_SHOWN = 60
"""Characters of what was given that are repeated; it may be anything."""
_TIME = "a time with an offset, such as 2026-06-21T00:00:00Z; a + is %2B in a URL"
_FORMS = {
    "from": _TIME,
    "to": _TIME,
    "month": "a month, such as 2026-06",
    "address": "the address of a contract, 0x and 40 digits",
    "hash": "the hash of a transaction, 0x and 64 digits",
    "after": "what was `next` of the page before",
}
_REMEDIES = {
    404: "look at /openapi.json for what there is",
    405: "look at /openapi.json for the methods of each path",
}


class Refused(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, error: str, remedy: str) -> None:
        super().__init__(error)
        self.status, self.problem = status, Problem(error=error, remedy=remedy)


class NotModified(Exception):
    """Who asks has the answer already."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


def refused(error: InvalidInput, status: int = UNPROCESSABLE) -> Refused:
    """What an error of ours says, whose message names the remedy after a colon."""
    said, _, remedy = str(error).rpartition(": ")
    return Refused(status, said or remedy, remedy)


def said(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides success, for the description."""
    words = {
        404: "There is no such thing in the record.",
        422: "A parameter is not as described here, or asks for too much.",
        503: "The record cannot be read: try again later.",
    }
    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": words[status]} for status in statuses
    }
    return {NOT_MODIFIED: {"description": "Nothing has changed since If-None-Match."}, **problems}


def _problem(status: int, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(problem.model_dump(), status, headers)


async def _on_not_modified(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotModified)
    return Response(status_code=NOT_MODIFIED, headers={"ETag": error.etag})


async def _on_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _problem(error.status, error.problem)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    names = {str(each["loc"][-1]) for each in found}
    forms = [f"{name}: give {form}" for name, form in _FORMS.items() if name in names]
    remedy = "; ".join(forms) or "correct it as /openapi.json describes it"
    told = "; ".join(sorted({_fault(each) for each in found}))
    return _problem(UNPROCESSABLE, Problem(error=told, remedy=remedy))


def _fault(fault: Any) -> str:
    """What is wrong with a parameter, and the beginning of what was given."""
    name, given = str(fault["loc"][-1])[:_SHOWN], fault.get("input")
    if fault["type"] == "extra_forbidden":
        return f"{name}: there is no such parameter here"
    shown = f"{given[:_SHOWN]!r}: " if isinstance(given, str) else ""
    said = "it has another form" if fault["type"] == "string_pattern_mismatch" else fault["msg"]
    return f"{name}: {shown}{said}"


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    remedy = _REMEDIES.get(error.status_code, "look at /openapi.json")
    problem = Problem(error=str(error.detail).lower(), remedy=remedy)
    return _problem(error.status_code, problem, dict(error.headers or {}))


async def _on_store(_: Request, error: Exception) -> Response:
    # What it says may name the place of the record: that is for the server's own log.
    problem = Problem(
        error=f"the record cannot be read ({type(error).__name__})", remedy="try again later"
    )
    return _problem(UNAVAILABLE, problem, {"Retry-After": RETRY_SECONDS})


async def _on_fault(_: Request, __: Exception) -> Response:
    # The server logs it with its traceback; nobody else is shown that.
    problem = Problem(error="a fault of the server", remedy="tell whoever runs it")
    return _problem(500, problem)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    NotModified: _on_not_modified,
    Refused: _on_refused,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http,
    InvalidInput: _on_store,
    SQLAlchemyError: _on_store,
    Exception: _on_fault,
}
