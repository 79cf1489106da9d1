"""The page in the package is the page of the source."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src" / "bethink" / "server" / "static"
BUDGET = 250_000
"""Compressed bytes of all that a browser may fetch, the fonts of formulas left out."""


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_committed_build_is_what_the_source_builds(built: Path) -> None:
    new, committed = files_of(built), files_of(STATIC)
    assert new.keys() == committed.keys(), "run `make page` and commit what it builds"
    assert [name for name in new if new[name] != committed[name]] == []


def test_the_page_is_light() -> None:
    spent = sum(len(gzip.compress(data)) for name, data in files_of(STATIC).items() if not name.endswith(".woff2"))
    assert spent < BUDGET


def test_the_page_names_no_other_place() -> None:
    index = (STATIC / "index.html").read_text()
    assert re.findall(r'(?:src|href)="(?!/)', index) == []
    assert "<style" not in index
    assert re.findall(r"<script(?![^>]* src=)", index) == []
    for name, data in files_of(STATIC).items():
        if name.endswith(".css"):
            assert re.findall(rb"url\((?!/assets/)", data) == []


def test_the_lock_of_the_page_names_no_registry() -> None:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    hosts = {
        re.sub(r"^https?://([^/]+).*", r"\1", one["resolved"]) for one in lock["packages"].values() if "resolved" in one
    }
    assert hosts <= {"registry.npmjs.org"}
    assert all("integrity" in one for path, one in lock["packages"].items() if path)
