"""The page's days, weeks and months, and its numbers, in the browser that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.browser.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOUR = 3_600_000
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call(browser: Browser, quiet_site: Site) -> Iterator[Call]:
    """Calls a function of a module of the page."""
    page: Page = browser.new_page()
    page.goto(quiet_site.url)

    def call(module: str, function: str, *arguments: Any) -> Any:
        return page.evaluate(
            "async ([module, name, given]) => (await import(`/page/${module}.js`))[name](...given)",
            [module, function, list(arguments)],
        )

    yield call
    page.close()


@pytest.mark.parametrize(
    ("date", "zone", "hours"),
    [
        ("2026-11-22", "Europe/Berlin", 24),
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2026-11-01", "America/Los_Angeles", 25),
        ("2026-04-24", "Africa/Cairo", 23),  # the clocks go forward at midnight
        ("2026-11-22", "Asia/Kathmandu", 24),
        ("2026-11-22", "UTC", 24),
    ],
)
def test_a_day_begins_and_ends_as_its_zone_says(
    date: str, zone: str, hours: int, call: Call
) -> None:
    day = call("ranges", "rangeOf", "day", date, zone, 900)
    assert day["to"] - day["from"] == hours * HOUR
    assert call("zones", "dateOf", day["from"], zone) == date
    assert call("zones", "dateOf", day["from"] - 1, zone) < date


def test_a_week_begins_on_monday_and_a_month_on_its_first(call: Call) -> None:
    week = call("ranges", "rangeOf", "week", "2026-11-22", "UTC", 900)
    assert (week["first"], week["next"], week["by"]) == ("2026-11-16", "2026-11-23", "hour")
    month = call("ranges", "rangeOf", "month", "2024-02-29", "UTC", 900)
    assert (month["first"], month["next"], month["by"]) == ("2024-02-01", "2024-03-01", "day")
    assert call("ranges", "moved", "month", "2026-01-31", 1) == "2026-02-28"
    assert call("ranges", "moved", "month", "2026-01-31", -2) == "2025-11-30"
    assert call("ranges", "moved", "week", "2026-01-01", -1) == "2025-12-25"


@pytest.mark.parametrize(
    ("length", "by"), [(900, "period"), (300, "period"), (60, "hour"), (0, "hour")]
)
def test_a_day_has_no_more_bars_than_can_be_seen(length: int, by: str, call: Call) -> None:
    assert call("ranges", "rangeOf", "day", "2026-11-22", "UTC", length)["by"] == by


@pytest.mark.parametrize(
    ("wh", "shown"),
    [
        (0, "0"),
        (117, "0.117"),
        (12_340, "12.34"),
        (123_456, "123.5"),
        (1_234_567, "1,235"),
        (None, "\N{EN DASH}"),
    ],
)
def test_energies_have_four_figures(wh: int | None, shown: str, call: Call) -> None:
    assert call("format", "kwh", wh) == shown


@pytest.mark.parametrize(
    ("wei", "shown"),
    [
        ("0", "0 ether"),
        ("7", "7 wei"),
        ("1500000000", "1.5 gwei"),
        ("683899000000000", "683,900 gwei"),
        ("1234567890123456789", "1.235 ether"),
        (None, "\N{EN DASH}"),
    ],
)
def test_costs_have_the_unit_that_fits(wei: str | None, shown: str, call: Call) -> None:
    assert call("format", "wei", wei) == shown
