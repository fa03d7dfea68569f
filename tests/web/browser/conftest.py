"""A browser that watches what a page asks for and complains about, and sites to look at.

Debian's chromium is driven by Playwright. Where one of them is missing these tests are skipped, or
fail when ENERGY_CHAIN_BROWSER=required.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import pytest

from tests.web.browser.site import Site
from tests.web.browser.town import Town

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
ZONE = "Europe/Berlin"
PATIENCE = 10_000
"""Milliseconds that a page may take for what takes it a tenth of a second."""


@dataclass
class Watch:
    """What a page did besides showing itself."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Addresses of other hosts that it asked for."""
    answers: list[Response] = field(default_factory=list)


def _missing(what: str) -> NoReturn:
    if os.environ.get("ENERGY_CHAIN_BROWSER") == "required":
        pytest.fail(f"{what} is missing, and ENERGY_CHAIN_BROWSER=required")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium. Its event loop is over before others of this process have theirs."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        _missing("playwright")
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        _missing("chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    found = Path("tests/integration/node_modules/axe-core/axe.min.js")
    if not found.is_file():
        _missing("axe-core (make nodes)")
    return found.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def quiet_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of the town that no test changes."""
    site = Site(tmp_path_factory.mktemp("site"), Town())
    site.start()
    yield site
    site.stop()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a site of a test's own: of a town, or of a record without a market."""
    sites = []

    def build(town: Town | None, audits: bool = False) -> Site:
        site = Site(tmp_path, town, audits)
        site.start()
        sites.append(site)
        return site

    yield build
    for site in sites:
        site.stop()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """Opens an address in a window of its own. At the end nothing may have gone wrong in it.

    With `may_fail` the console may complain: of a server that is not there the browser does.
    """
    opened: list[tuple[Any, Watch, bool]] = []

    def look(url: str, may_fail: bool = False, **options: Any) -> tuple[Page, Watch]:
        context = browser.new_context(
            timezone_id=ZONE,
            locale="en-GB",
            **{"viewport": {"width": 1280, "height": 900}, **options},
        )
        page, watch = context.new_page(), Watch()
        page.set_default_timeout(PATIENCE)
        host = urlsplit(url).netloc
        page.on("console", lambda said: _complain(watch, said))
        page.on("pageerror", lambda error: watch.complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda asked: urlsplit(asked.url).netloc == host or watch.strangers.append(asked.url),
        )
        page.on("response", lambda answer: watch.answers.append(answer))
        opened.append((context, watch, may_fail))
        page.goto(url)
        return page, watch

    yield look
    for context, _, _ in opened:
        context.close()
    for _, watch, may_fail in opened:
        assert not watch.strangers
        assert may_fail or not watch.complaints
        assert not [said for said in watch.complaints if said.startswith("error")]


def _complain(watch: Watch, said: Any) -> None:
    if said.type in ("error", "warning"):
        watch.complaints.append(f"console: {said.text}")
