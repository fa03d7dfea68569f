"""What axe-core finds in each state of the page, in both themes: nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.browser.site import Site
from tests.web.browser.town import Town

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Look = Callable[..., tuple[Page, Any]]

STATES = {
    "neighbourhood": ("/", ".latest li"),
    "month": ("/?view=month", "#usage svg"),
    "home": ("/?home=4", "#partners tbody a"),
    "requests": ("/?show=requests", "dialog tbody tr"),
    "match": ("/?show=match-1", "dialog .steps-list"),
    "audit": ("/?show=audit", "dialog .command"),
    "nothing": ("/?at=2026-11-12", "#usage .empty"),
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def faults(page: Page, axe: str) -> list[str]:
    """What is wrong, one line each."""
    # Evaluated by the debugger, which the page's own policy does not bind.
    page.evaluate(axe)
    found = page.evaluate(
        "rules => axe.run(document, { runOnly: rules })",
        RULES,
    )
    return [
        f"{fault['impact']} {fault['id']}: {node['html'][:120]} {node['failureSummary']}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_nothing_is_in_anybodys_way(
    state: str, theme: str, quiet_site: Site, look: Look, axe: str
) -> None:
    address, shown = STATES[state]
    page, _ = look(f"{quiet_site.url}{address}", color_scheme=theme, reduced_motion="reduce")
    page.locator(shown).first.wait_for()
    assert faults(page, axe) == []


def test_nothing_is_in_the_way_of_tables_and_banners(
    build: Callable[..., Site], look: Look, axe: str
) -> None:
    town = Town()
    page, _ = look(build(town).url, viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    page.locator("#usage").get_by_role("button", name="Show as table").click()
    page.locator("#flow").get_by_role("button", name="Show as table").click()
    town.cut()
    page.get_by_role("alert").wait_for()
    assert faults(page, axe) == []


def test_the_keyboard_reaches_what_the_mouse_does(quiet_site: Site, look: Look) -> None:
    page, _ = look(quiet_site.url)
    page.locator(".latest a").last.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator(".tile a").first.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.locator("dialog tbody a").first.wait_for()
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.closest('.tile') !== null")
