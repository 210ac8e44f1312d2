"""The pages say what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from groundspeed.deploy.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_the_reference_is_fresh() -> None:
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert specification is not None
    assert specification.loader is not None
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    assert generate.page() == (ROOT / "docs/reference.md").read_text(), "run ./do docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_path_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    paths = re.findall(
        r"`((?:deploy|export|models|runtimes|device_tests|benchmarks|docs)/[\w./]*)`", text
    )
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [path for path in paths if "…" not in path and not (ROOT / path).exists()]
    assert not missing


def test_the_readme_shows_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert not [name for name in COMMANDS if f"groundspeed {name}" not in readme]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
