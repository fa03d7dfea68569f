"""Times as the API writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def iso(moment: int) -> str:
    """A Unix time as ISO 8601 in UTC, such as 2026-11-23T06:00:00Z."""
    return f"{datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat()}Z"


def unix(text: str) -> int:
    """The Unix time of one, of the second that it is in; of any year.

    Raises:
        ValueError: there is no such time.
    """
    return (datetime.fromisoformat(text) - _EPOCH) // _SECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
