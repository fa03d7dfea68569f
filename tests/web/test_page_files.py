"""The files of the page: scripts of others as they were published, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import energy_chain

PAGE = Path(energy_chain.__file__).parent / "web" / "page"
VENDOR = PAGE / "vendor"
ROW = re.compile(r"^\| `([^`]+)` \|[^|]*\|[^|`]*`([^`]+)` \|[^|]*\| `([0-9a-f]{64})` \|$", re.M)
NAMES = {"http://www.w3.org/2000/svg"}
"""Addresses that only name something."""


def test_scripts_of_others_are_unchanged_and_have_their_licences() -> None:
    table = ROW.findall((VENDOR / "README.md").read_text(encoding="utf-8"))
    assert {script for script, _, _ in table} == {file.name for file in VENDOR.glob("*.js")}
    for script, licence, digest in table:
        assert hashlib.sha256((VENDOR / script).read_bytes()).hexdigest() == digest
        assert "Copyright" in (VENDOR / licence).read_text(encoding="utf-8")


def test_our_files_name_no_other_host() -> None:
    ours = [file for file in PAGE.iterdir() if file.is_file()]
    assert len(ours) > 20
    for file in ours:
        found = set(
            re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+[\w./]*", file.read_text("utf-8"))
        )
        assert found <= NAMES, file.name


def test_nothing_of_the_page_is_written_into_its_html() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|javascript:", html)
    for script in PAGE.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", script.read_text("utf-8")
        )
