"""The page as text, and as a real browser sees it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from groundspeed.deploy.report.content import ReportData
from groundspeed.deploy.report.page import page, write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Structure(HTMLParser):
    """What a page loads, its anchors, its tables and its text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.classes: list[str] = []
        self.text = ""
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._silent += tag in ("script", "style")
        self.ids.add(attributes.get("id", ""))
        self.classes += attributes.get("class", "").split()
        if tag == "a":
            self.links.append(attributes["href"])
        else:
            self.loads += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += data


def test_the_page_loads_nothing(data: ReportData) -> None:
    structure = Structure(page(data))
    assert structure.loads == ["data:,"]  # the icon, so that a browser does not look for one
    css = re.findall(r"<style>(.*?)</style>", page(data), re.DOTALL)
    assert not any("url(" in sheet or "@import" in sheet for sheet in css)


def test_every_link_leads_somewhere(data: ReportData) -> None:
    structure = Structure(page(data))
    assert structure.links
    assert {link.removeprefix("#") for link in structure.links} <= structure.ids


def test_names_and_reasons_are_text_and_not_markup(data: ReportData) -> None:
    html = page(data)
    assert "net<1>" not in html
    assert "no <op>" not in html
    text = Structure(html).text
    assert "no <op>" in text
    assert "net<1>" in text


def test_the_page_says_what_was_measured(data: ReportData) -> None:
    text = re.sub(r"\s+", " ", Structure(page(data)).text)
    for expected in (
        "onnxruntime is the fastest: 2.00 ms",
        "ncnn takes 1.50 times as long",
        "could not be read",  # peak memory
        "dispatch and unexplained",
        "0.875",  # sum of all ops over end to end
        "bn7 was left: it comes first",
        "equal within tolerance",
        "net.py:10",
        "Some CPU",
        "groundspeed run 'net.py:build'",
    ):
        assert expected in text


def test_ops_that_sum_up_to_too_much_are_explained_and_not_hidden(data: ReportData) -> None:
    one, _ = data.measured
    assert one.profile is not None
    assert one.profile.profile is not None
    profile = replace(one.profile.profile, plain_ns=(1_500_000,) * 8)
    odd = replace(one, profile=replace(one.profile, profile=profile))
    text = re.sub(r"\s+", " ", Structure(page(ReportData(measured=(odd,)))).text)
    assert "at least 0.250 ms of the profiler's cost lies inside their times" in text
    assert "\N{MINUS SIGN}0.250" in text
    assert "1.167" in text


def test_a_page_without_any_measurement_says_why(data: ReportData) -> None:
    text = Structure(page(ReportData(measured=(), failures=data.failures))).text
    assert "Nothing could be measured" in text
    assert "no <op>" in text


def test_no_space_left_leaves_the_old_page(
    data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_page(data, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        message = "no Chromium on the PATH, which these tests open the page in"
        if os.environ.get("CI") == "true" or os.environ.get("GROUNDSPEED_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


def opened(browser: str, path: Path, profile: Path, *options: str) -> tuple[str, str]:
    """Return the document after its scripts ran, and what the browser logged."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += ["--disable-component-update", "--enable-logging=stderr", "--dump-dom"]
    # Nothing but the file itself can be reached: a page that needs the network would be broken.
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000"]
    command += [f"--user-data-dir={profile}", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.mark.browser
def test_a_browser_draws_every_visible_picture(
    browser: str, data: ReportData, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_page(data, path)
    dom, log = opened(browser, path, tmp_path / "profile", "--window-size=1280,4000")
    drawn = Structure(dom).classes
    # Distribution, op kinds, roofline, and the modules of the one runtime whose tab is open.
    assert drawn.count("js-plotly-plot") == 4
    assert "iciclelayer" in drawn
    assert not [line for line in log.splitlines() if ":CONSOLE" in line]
    text = Structure(dom).text
    assert "pointwise convolution" in text
    assert "50%" in text  # the share that is written into the bar of the costliest kind
    assert "GFLOP/s achieved" in text


@pytest.mark.browser
def test_modules_are_folded_until_asked_for(browser: str, data: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(data, path)
    dom, _ = opened(browser, path, tmp_path / "profile")
    rows = re.findall(r'<tr data-path="([^"]*)" data-parent="[^"]*"( hidden="")?>', dom)
    assert {name for name, hidden in rows if not hidden} == {"", "stage", "head"}
