"""What the documents name exists: files, `make` targets, `tre` commands and test folders."""

import re
from pathlib import Path

import click
import pytest

from tre.cli.main import NOUNS, tre

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PLACES = re.compile(r"`((?:tests|tre|docs|images|output_checks)/[\w./-]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_places_exist(document: Path) -> None:
    named = PLACES.findall(document.read_text())
    missing = [place for place in named if not (ROOT / place).exists() and "<" not in place]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", document.read_text()))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(document: Path) -> None:
    for noun, verb in re.findall(r"`tre ([a-z]+)(?: ([a-z-]+))?", document.read_text()):
        assert noun in NOUNS, noun
        command = tre.get_command(click.Context(tre), noun)
        if verb and isinstance(command, click.Group):
            assert verb in command.commands, f"tre {noun} {verb}"
