"""Times as the API writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(moment: int) -> str:
    """A Unix time as ISO 8601 in UTC, such as 2026-11-23T06:00:00Z."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text: str) -> int:
    """The Unix time of one, of the second that it is in; 0 before 1970.

    Raises:
        ValueError: there is no such time.
    """
    # The years at the ends of the calendar have no time in UTC.
    told = datetime.fromisoformat(text)
    if not 1970 < told.year < 9999:
        return 0 if told.year <= 1970 else 2**48
    return int(told.timestamp())
