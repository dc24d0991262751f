"""The ways in which a backend team calls the service, as the documentation shows them."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from churn.api_models import PredictResponse
from churn.contract import example_customer
from tests.integration.serving import PROJECT, Served

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


@pytest.mark.parametrize("code", PYTHON, ids=["httpx", "bentoml"])
def test_python(service: Served, capsys: pytest.CaptureFixture[str], code: str) -> None:
    assert SHOWN in code
    exec(compile(code.replace(SHOWN, service.url), "docs/api.md", "exec"), {"customers": CUSTOMERS})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["30", "31"]
    assert all(0 < float(line[1]) < 1 and line[2] in {"True", "False"} for line in lines)


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
