"""A service that is watched, for each file of tests its own."""

from collections.abc import Iterator

import pytest

from tests.conftest import ChampionModel
from tests.support.serving import serving
from tests.system.watching import Watched, install, watching


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    install()


@pytest.fixture(scope="module")
def watched(champion: ChampionModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watching")
    with serving(champion.environment, folder) as service:
        with watching(service, folder) as found:
            yield found
        if service.process.poll() is None:
            service.stop()
