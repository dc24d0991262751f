"""The ways in which a backend team calls the service, as the documentation shows them."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from churn.contract import example_customer
from serving.api import PredictResponse
from tests.conftest import ChampionModel
from tests.support.serving import PROJECT, Served, serving

pytestmark = pytest.mark.integration

CUSTOMERS = [example_customer("30"), example_customer("31")]
SHOWN = "http://localhost:3000"
PAGE = (PROJECT / "docs" / "api.md").read_text()
CURL = next(line for line in PAGE.splitlines() if line.startswith("curl "))
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_curl(service: Served, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps({"customers": CUSTOMERS}))
    assert SHOWN in CURL
    command = shlex.split(CURL.replace(SHOWN, service.url))
    called = subprocess.run([*command, "--silent"], cwd=tmp_path, capture_output=True, check=True)
    answer = PredictResponse.model_validate_json(called.stdout)
    assert [given.customer_id for given in answer.predictions] == ["30", "31"]


def run(code: str, url: str, **names: Any) -> None:
    assert SHOWN in code
    exec(compile(code.replace(SHOWN, url), "docs/api.md", "exec"), {"customers": CUSTOMERS, **names})


@pytest.mark.parametrize("code", PYTHON[:2], ids=["httpx", "bentoml"])
def test_python(service: Served, capsys: pytest.CaptureFixture[str], code: str) -> None:
    run(code, service.url)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["30", "31"]
    assert all(0 < float(line[1]) < 1 and line[2] in {"True", "False"} for line in lines)


def test_python_with_a_key(champion: ChampionModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "a-key-of-the-shop-1"
    with serving(champion.environment | {"CHURN_API_KEYS": key}, tmp_path) as served:
        for code in PYTHON[2:]:
            run(code, served.url, key=key)
            lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
            assert [line[0] for line in lines] == ["30", "31"]
            assert all(0 < float(line[1]) < 1 and "customers who stay" in line[2] for line in lines)
        document = httpx.get(f"{served.url}/docs.json", headers={"x-api-key": key}).json()
    assert document["paths"]["/predict"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}


def test_all_examples_are_run() -> None:
    assert len(PYTHON) == 4


def test_the_httpx_example_comes_back_after_a_429_and_gives_up_in_the_end() -> None:
    names: dict[str, Any] = {}
    exec(compile(PYTHON[0].split("with httpx")[0], "docs/api.md", "exec"), names)
    statuses: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        status = statuses.pop(0)
        return httpx.Response(status, headers={"retry-after": "0"}, json={"predictions": [{"customer_id": "30"}]})

    with httpx.Client(base_url=SHOWN, transport=httpx.MockTransport(answer)) as client:
        statuses[:] = [429, 503, 200]
        assert names["predict"](client, CUSTOMERS) == [{"customer_id": "30"}]
        for refused in ([429] * 4, [400]):
            statuses[:] = refused
            with pytest.raises(httpx.HTTPStatusError):
                names["predict"](client, CUSTOMERS)
            assert statuses == []
