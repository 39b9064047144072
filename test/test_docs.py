"""The documentation agrees with the code: tables, links, and the files that it names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from vla_core.contract import load_contract

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_parameter_tables_are_those_of_the_declarations() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_docs.py", "--check"], capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"\b[a-z0-9]+\.launch\.py\b", text):
        assert (ROOT / "launch" / name).exists(), name
    for name in re.findall(r"\bscripts/[a-z_]+\.(?:sh|py)\b", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\bconfig/robots/[a-z0-9_]+\.yaml\b", text):
        load_contract(ROOT / name)


def test_the_readme_names_all_parameters() -> None:
    text = (ROOT / "README.md").read_text()
    tables = (ROOT / "docs" / "parameters.md").read_text()
    for name in re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE):
        assert f"`{name}`" in text, name


def test_nothing_names_the_machine_it_was_written_on() -> None:
    pattern = re.compile(r"(?<![\w./-])/(?:root|home/[a-z]+)/")
    for page in PAGES:
        assert not pattern.search(page.read_text()), page
