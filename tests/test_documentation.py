"""What the documentation says is what there is."""

import re
from pathlib import Path

import pytest

from scripts import feature_table

ROOT = Path(__file__).parent.parent
TARGETS = re.findall(r"^([a-z][a-z_-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_feature_table_is_the_contracts() -> None:
    assert feature_table.PAGE.read_text() == feature_table.page(), "run `make docs`"


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_line_of_help(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_in_the_readme(target: str) -> None:
    assert f"make {target}" in (ROOT / "README.md").read_text()


def test_every_target_a_page_names_exists() -> None:
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z][a-z_-]*)", page.read_text()))
        assert named <= set(TARGETS), f"{page.relative_to(ROOT)} names {named - set(TARGETS)}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
