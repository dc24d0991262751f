"""Schemathesis against the service's own OpenAPI document: valid, almost valid and absurd requests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serving import Served

pytestmark = pytest.mark.integration

# Its own list of refusals does not know that a list may be too long for 413.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "405", "413", "415"]
"""


def test_schemathesis_finds_nothing(service: Served, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{service.url}/docs.json", "--no-color"]
    # A request may fit the schema and still contradict itself, which no schema can say: 400.
    limits = ["--exclude-checks", "positive_data_acceptance", "--max-examples", "25", "--seed", "1"]
    found = subprocess.run([*command, *limits], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-5000:]
    assert "5 selected / 5 total" in found.stdout
