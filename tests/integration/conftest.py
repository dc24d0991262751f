"""One running service for all tests that only call it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ChampionModel
from tests.support.serving import Served, serving


@pytest.fixture(scope="session")
def service(champion: ChampionModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(champion.environment, tmp_path_factory.mktemp("service")) as served:
        yield served


@pytest.fixture
def client(service: Served) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
