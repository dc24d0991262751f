"""The short form of `make attack`: all attacks on a running service, with a well-behaved caller beside them."""

from pathlib import Path

import pytest

from load_tests.attack import FILES, attack, table
from load_tests.callers import open_files
from tests.conftest import ChampionModel
from tests.support.serving import serving

pytestmark = pytest.mark.system


def test_no_attack_succeeds(champion: ChampionModel, tmp_path: Path) -> None:
    with open_files(FILES), serving(champion.environment, tmp_path) as service:
        rows = attack(service, short=True, bodies=400)
    assert all(row.passed() for row in rows), table(rows)
    assert len(rows) == 9
