"""The documentation says what is there: every target, every link, and the pages that are made from the code."""

import re
import tomllib
from itertools import chain

import pytest
import yaml

from churn.activity.settings import SETTINGS
from scripts import dataset_page, feature_table, module_map, summary_page
from tests.support.sources import ROOT, files

MAKEFILE = (ROOT / "Makefile").read_text()
README = (ROOT / "README.md").read_text()
TARGETS = re.findall(r"^([a-z][a-z_-]*):", MAKEFILE, flags=re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"^(?:[A-Z_]+=\S+ +)*make((?: +[a-z][a-z_-]*)+)", flags=re.MULTILINE)


def targets_named(text: str) -> set[str]:
    """What stands after `make` in inline code, and at the start of a line in a code block."""
    commands = [*re.findall(r"`([^`\n]+)`", CODE.sub("", text)), *CODE.findall(text)]
    return set(chain.from_iterable(found.split() for command in commands for found in MAKE.findall(command)))


PAGES_MADE = [dataset_page, feature_table, module_map, summary_page]


@pytest.mark.parametrize("made", PAGES_MADE, ids=lambda module: module.PAGE.name)
def test_a_page_that_is_made_from_the_code_is_up_to_date(made) -> None:
    assert made.PAGE.read_text() == made.page(), "run `make docs`"


@pytest.mark.parametrize("path", [path for name, path in files().items() if not name.startswith("tests")], ids=str)
def test_every_module_says_in_its_first_line_what_it_is(path) -> None:
    assert len(module_map.first_line(ROOT / path)) > 10


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_line_of_help(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", MAKEFILE, flags=re.MULTILINE)


def test_the_readme_lists_every_target_and_no_other() -> None:
    listed = re.findall(r"^\| `make ([a-z_-]+)` \| \S", README, flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(TARGETS) - {"help"})


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_target_a_page_names_exists(page) -> None:
    assert targets_named(page.read_text()) <= set(TARGETS)


def test_targets_are_found_in_text_and_in_code() -> None:
    text = (
        "Run `make lint test`, or `PORT=1 make serve &`.\n```sh\nmake all EVENTS=x   # make no other\n```\nmake it so"
    )
    assert targets_named(text) == {"lint", "test", "serve", "all"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_page_about_the_log_has_every_setting_of_reading_it(setting) -> None:
    row = f"| `{setting.name}` | `{setting.default}` | {setting.meaning} |"
    assert row in (ROOT / "docs" / "event-log.md").read_text()


def test_the_changelog_begins_with_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(
        r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert newest
    assert newest[1] == version


WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
STEPS = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
LOCAL = (ROOT / ".ci" / "run").read_text()


def made_by(commands: list[str]) -> list[str]:
    return [found.strip() for command in commands for found in MAKE.findall(command)]


def test_the_hosted_workflow_makes_what_the_local_one_makes() -> None:
    assert set(made_by(STEPS)) == set(made_by([LOCAL])) <= set(TARGETS)


def test_the_hosted_workflow_installs_the_packages_that_the_local_one_does() -> None:
    installed = [re.findall(r"--no-install-recommends ([a-z -]+[a-z])", text) for text in ("\n".join(STEPS), LOCAL)]
    assert installed[0] == installed[1] != []


def test_the_hosted_workflow_runs_on_every_python_that_is_supported() -> None:
    supported = re.search(r"ok = v in \(\((\d), (\d+)\), \((\d), (\d+)\)\)", MAKEFILE)
    assert supported
    versions = WORKFLOW["jobs"]["checks"]["strategy"]["matrix"]["python"]
    assert versions == [f"{supported[1]}.{supported[2]}", f"{supported[3]}.{supported[4]}"]
