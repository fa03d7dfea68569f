"""The page in a real browser: what it loads, shows, and leads to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.web.browser.conftest import PATIENCE
from tests.web.browser.site import Site
from tests.web.browser.town import CONTRACT, METERS, NEXT, TRADES, Town, Trade, kwh

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.web.browser.conftest import Watch

    Look = Callable[..., tuple[Page, Watch]]

LARGEST_FIRST_LOAD = 1_200_000
TODAY = TRADES[-2:]
WEEK = TRADES[1:]


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile").filter(has=page.get_by_text(name, exact=True))


def expect_energies(page: Page, trades: tuple[Trade, ...]) -> None:
    """Waits until the tiles have the energies of some trades."""
    from playwright.sync_api import expect

    for name, energy in kwh(trades).items():
        shown = "0" if not energy else f"{energy:,.3f}" if energy < 10 else f"{energy:.2f}"
        expect(tile(page, name).locator(".tile-value")).to_have_text(f"{shown} kWh")


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_it_shows_the_latest_day(quiet_site: Site, look: Look) -> None:
    page, _ = look(quiet_site.url)
    expect_energies(page, TODAY)
    assert page.get_by_role("heading", level=1).inner_text() == "The neighbourhood"
    assert page.locator(".range").inner_text() == "Sunday, 22 November 2026"
    share = sum(trade.matched for trade in TODAY) / sum(sum(t.needs.values()) for t in TODAY)
    assert f"{share:.0%}" in tile(page, "Self-sufficiency").inner_text()
    # Four transactions of 100,000 gas for 2.2 kWh.
    assert "181,818" in tile(page, "Gas per kWh").inner_text()


def test_the_first_load_is_small_and_asks_nobody_else(quiet_site: Site, look: Look) -> None:
    page, watch = look(quiet_site.url)
    expect_energies(page, TODAY)
    loaded = [answer for answer in watch.answers if not answer.url.endswith("/api/events")]
    assert all(answer.ok for answer in loaded)
    assert len(loaded) > 20
    assert sum(len(answer.body()) for answer in loaded) < LARGEST_FIRST_LOAD
    policy = watch.answers[0].headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy or "default-src 'self'" in policy


def test_the_picker_changes_the_numbers(quiet_site: Site, look: Look) -> None:
    page, _ = look(quiet_site.url)
    expect_energies(page, TODAY)
    page.get_by_role("radio", name="Week").first.check()
    expect_energies(page, WEEK)
    assert query(page)["view"] == "week"
    page.get_by_role("radio", name="Month").first.check()
    expect_energies(page, WEEK)
    page.get_by_role("button", name="The month before").click()
    expect_energies(page, TRADES[:1])
    assert page.locator(".range").inner_text() == "October 2026"
    page.get_by_role("button", name="Latest").click()
    expect_energies(page, WEEK)
    page.get_by_role("radio", name="Day").first.check()
    page.get_by_role("button", name="The day before").click()
    expect_energies(page, TRADES[3:4])
    page.go_back()
    expect_energies(page, TODAY)


def test_a_day_is_that_of_the_time_zone(quiet_site: Site, look: Look) -> None:
    # Half past eleven in the evening in UTC is the next day in Berlin.
    page, _ = look(f"{quiet_site.url}/?at=2026-11-18")
    expect_energies(page, TRADES[1:2])
    page.get_by_label("Time zone").select_option("UTC")
    expect_energies(page, TRADES[1:3])


def test_the_address_says_all_that_is_shown(quiet_site: Site, look: Look) -> None:
    page, _ = look(f"{quiet_site.url}/?view=week&at=2026-11-18&home=1")
    page.get_by_role("heading", name="Home 1", level=1).wait_for()
    page.reload()
    page.get_by_role("heading", name="Home 1", level=1).wait_for()
    assert page.locator(".range").inner_text() == "16 \N{EN DASH} 22 November 2026"
    strange = f"{quiet_site.url}/?view=year&at=2026-02-30&home=x&zone=Nowhere&show=%3Cb%3E"
    page.goto(strange)
    expect_energies(page, TODAY)


def test_keys_pick_as_buttons_do(quiet_site: Site, look: Look) -> None:
    page, _ = look(quiet_site.url)
    expect_energies(page, TODAY)
    page.keyboard.press("ArrowLeft")
    expect_energies(page, TRADES[3:4])
    page.keyboard.press("ArrowRight")
    expect_energies(page, TODAY)
    page.get_by_role("radio", name="Day").first.focus()
    page.keyboard.press("m")
    expect_energies(page, WEEK)
    page.keyboard.press("t")
    assert page.locator(".range").inner_text() == "November 2026"


def test_every_number_leads_to_its_transactions(quiet_site: Site, look: Look) -> None:
    page, _ = look(quiet_site.url)
    for name in ("Produced", "Needed", "Matched", "Self-sufficiency", "Self-consumption"):
        tile(page, name).get_by_role("link").click()
        link = page.get_by_role("dialog").locator("td a.mono").first
        assert re.fullmatch(r"0x[0-9a-f]{64}", link.get_attribute("title") or "")
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="hidden")
        page.wait_for_url(re.compile(r"^[^?]*\?$"))
    tile(page, "Gas per kWh").get_by_role("link").click()
    page.get_by_role("dialog").locator("tbody tr").nth(3).wait_for()
    assert page.get_by_role("dialog").locator("tbody tr").count() == 4


def test_a_match_tells_its_orders_and_transactions(quiet_site: Site, look: Look) -> None:
    from playwright.sync_api import expect

    page, _ = look(quiet_site.url)
    page.locator(".latest a").last.wait_for()
    page.locator(".latest li").first.get_by_role("link", name=re.compile("^Match")).click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".steps-list h3")).to_have_text(
        ["The request", "The release", "The match", "Confirmed as drawn"]
    )
    assert "sells" in drawer.locator(".lead").inner_text()
    drawer.locator(".steps-list a.mono").first.click()
    expect(drawer.get_by_role("heading", level=2)).to_have_text("Transaction")
    drawer.locator(".event").first.wait_for()
    page.go_back()
    expect(drawer.get_by_role("heading", level=2)).to_have_text(re.compile("^Match"))
    drawer.get_by_role("button", name="Close").click()
    expect(drawer).to_be_hidden()


def test_a_home_has_its_numbers_its_neighbours_and_its_bill(quiet_site: Site, look: Look) -> None:
    from playwright.sync_api import expect

    page, _ = look(quiet_site.url)
    page.locator("#homes").get_by_role("link", name="Home 4").click()
    page.get_by_role("heading", name="Home 4", level=1).wait_for()
    needed = sum(trade.needs.get(4, 0) for trade in TODAY) / 1000
    expect(tile(page, "Needed").locator(".tile-value")).to_have_text(f"{needed:.3f} kWh")
    expect(page.locator(".home-about")).to_contain_text(METERS[3], ignore_case=True)
    page.locator("#partners tbody a").first.wait_for()
    month = sum(trade.needs.get(4, 0) for trade in WEEK) / 1000
    expect(page.locator("#bill tbody tr").first).to_contain_text(f"{month:.3f} kWh")
    expect(page.locator("#bill code")).to_have_text(
        "energy-chain verify-bill 2026-11-meter-4.json --network URL"
    )
    printed = page.get_by_role("link", name="Bill to print").get_attribute("href")
    answer = page.request.get(f"{quiet_site.url}/{printed}")
    assert answer.ok
    assert "Energy bill" in answer.text()
    with page.expect_download() as got:
        page.get_by_role("link", name="Bill with its proof").click()
    assert got.value.suggested_filename == "2026-11-meter-4.json"
    assert '"energy-chain bill 1"' in got.value.path().read_text(encoding="utf-8")
    page.get_by_role("link", name="The neighbourhood").click()
    expect_energies(page, TODAY)


def test_a_period_of_a_home_tells_what_that_home_did(quiet_site: Site, look: Look) -> None:
    from playwright.sync_api import expect

    page, _ = look(f"{quiet_site.url}/?home=4")
    page.locator("#home-usage").get_by_role("button", name="Show as table").click()
    page.locator("#home-usage tbody a").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", level=2)).to_have_text(re.compile("^Period .*, home 4$"))
    expect(drawer.locator("table")).to_have_count(2)
    matches, orders = drawer.locator("table").all()
    assert set(matches.locator("tbody tr > :nth-child(4)").all_inner_texts()) == {"Home 4"}
    expect(orders.locator("tbody tr")).to_have_count(1)
    expect(orders.locator("tbody tr")).to_contain_text("0.700")


def test_a_home_that_there_is_not_is_said_to_be_missing(quiet_site: Site, look: Look) -> None:
    page, _ = look(f"{quiet_site.url}/?home=77", may_fail=True)
    page.get_by_text("There is no such home").wait_for()


def test_charts_are_tables_as_well(quiet_site: Site, look: Look) -> None:
    from playwright.sync_api import expect

    page, _ = look(quiet_site.url)
    for card in ("#flow", "#usage"):
        place = page.locator(card)
        expect(place.locator("svg")).to_be_visible()
        place.get_by_role("button", name="Show as table").click()
        expect(place.locator("svg")).to_be_hidden()
    expect(page.locator("#usage tbody tr")).to_have_count(2)
    expect(page.locator("#usage tbody tr").first).to_contain_text("1.900 kWh")
    expect(page.locator("#flow tbody")).to_contain_text("Home 1")
    page.locator("#usage tbody a").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Period")
    page.keyboard.press("Escape")
    page.locator("#usage").get_by_role("button", name="Show as table").click()
    expect(page.locator("#usage svg")).to_be_visible()


def test_homes_are_sorted_by_a_heading(quiet_site: Site, look: Look) -> None:
    from playwright.sync_api import expect

    page, _ = look(quiet_site.url)
    first = page.locator("#homes tbody tr").first
    page.locator("#homes").get_by_role("button", name="Needed", exact=True).click()
    heading = page.locator("#homes th", has_text=re.compile("^Needed$"))
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(first).to_contain_text("Home 3")
    page.locator("#homes").get_by_role("button", name="Needed", exact=True).click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(first).to_contain_text("Home 1")


def test_what_comes_is_shown_while_one_looks(build: Callable[..., Site], look: Look) -> None:
    from playwright.sync_api import expect

    town = Town()
    site = build(town)
    page, _ = look(site.url)
    expect_energies(page, TODAY)
    block = page.locator(".as-of b").inner_text()
    page.locator("#homes").get_by_role("link", name="Home 2").focus()
    town.trade(NEXT)
    expect_energies(page, (*TODAY, NEXT))
    expect(page.locator(".latest li").first).to_have_class("new")
    expect(page.locator(".latest li").first).to_contain_text("0.222 kWh")
    expect(page.locator(".as-of b")).not_to_have_text(block)
    expect(page.locator("#said")).to_contain_text("new match")
    # Nothing moves under the hand of who uses the keyboard.
    expect(page.locator("#homes").get_by_role("link", name="Home 2")).to_be_focused()


def test_a_node_that_is_down_is_said_to_be(build: Callable[..., Site], look: Look) -> None:
    from playwright.sync_api import expect

    town = Town()
    site = build(town)
    page, _ = look(site.url)
    expect_energies(page, TODAY)
    block = page.locator(".as-of b").inner_text()
    town.cut()
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("The chain has not answered since")
    expect(banner).to_contain_text(f"as of block {block}, 22 Nov 2026, 12:46")
    expect_energies(page, TODAY)
    town.mend()
    expect(banner).to_have_count(0)


def test_the_verdict_of_the_audit_comes_by_itself(build: Callable[..., Site], look: Look) -> None:
    from playwright.sync_api import expect

    page, _ = look(build(Town(), audits=True).url)
    page.get_by_role("link", name="Audit: clean").click(timeout=4 * PATIENCE)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("The matches follow from the orders")
    expect(drawer.locator("code")).to_have_text(
        f"energy-chain audit --network URL --contract {CONTRACT}"
    )


def test_a_server_that_is_gone_is_said_to_be(build: Callable[..., Site], look: Look) -> None:
    from playwright.sync_api import expect

    site = build(Town())
    page, _ = look(site.url, may_fail=True)
    expect_energies(page, TODAY)
    site.stop()
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("cannot reach its server")
    expect(banner).to_contain_text("as of block")
    expect_energies(page, TODAY)
    site.start()
    expect(banner).to_have_count(0, timeout=20_000)


def test_a_record_without_a_market_says_what_to_do(build: Callable[..., Site], look: Look) -> None:
    page, _ = look(build(None).url)
    page.get_by_text("No market yet").wait_for()
    assert "energy-chain serve" in page.locator("main").inner_text()


def test_a_market_without_orders_says_so(build: Callable[..., Site], look: Look) -> None:
    page, _ = look(build(Town(())).url)
    page.locator("#flow").get_by_text("No orders yet").wait_for()
    page.locator("#usage").get_by_text("No orders yet").wait_for()
    page.locator("#now").get_by_text("No matches yet").wait_for()
    expect_energies(page, ())


def test_a_day_without_orders_leads_to_others(quiet_site: Site, look: Look) -> None:
    page, _ = look(f"{quiet_site.url}/?at=2026-11-12")
    page.locator("#usage").get_by_text("Nothing was traded in this day").wait_for()
    page.locator("#usage").get_by_role("link", name="Go to the latest").click()
    expect_energies(page, TODAY)


def test_a_market_that_is_not_in_the_record_is_said_to_be_missing(
    quiet_site: Site, look: Look
) -> None:
    page, _ = look(f"{quiet_site.url}/?market=0x{'9' * 40}")
    page.get_by_text("There is no such market here").wait_for()


def test_a_chosen_theme_stays(quiet_site: Site, look: Look) -> None:
    page, _ = look(quiet_site.url, color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    page.get_by_role("button", name="Use the light theme").wait_for()
    assert page.evaluate(paper) == dark


def test_a_phone_has_room_for_all(quiet_site: Site, look: Look) -> None:
    for address in ("/", "/?home=4", "/?view=month"):
        page, _ = look(f"{quiet_site.url}{address}", viewport={"width": 360, "height": 740})
        page.locator(".tile").first.wait_for()
        page.locator("svg[role]").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
