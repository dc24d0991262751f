"""The ways in which a backend team calls the service: curl, httpx, BentoML's own client."""

import json
import subprocess
from pathlib import Path

import bentoml
import httpx
import pytest

from churn.api_models import PredictResponse
from churn.contract import example_customer
from tests.integration.serving import Served

pytestmark = pytest.mark.integration

BODY = {"customers": [example_customer("30"), example_customer("31")]}


def ids(answer: object) -> list[str]:
    return [prediction.customer_id for prediction in PredictResponse.model_validate(answer).predictions]


def test_curl(service: Served, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps(BODY))
    command = ["curl", "--silent", "--fail-with-body", "-H", "Content-Type: application/json"]
    arguments = ["--data-binary", "@body.json", f"{service.url}/predict"]
    called = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, check=True)
    assert ids(json.loads(called.stdout)) == ["30", "31"]


def test_httpx(service: Served) -> None:
    answer = httpx.post(f"{service.url}/predict", json=BODY, timeout=10)
    answer.raise_for_status()
    assert ids(answer.json()) == ["30", "31"]


def test_bentoml_client(service: Served) -> None:
    with bentoml.SyncHTTPClient(service.url) as client:
        answer = client.predict(customers=BODY["customers"])
    assert ids(answer.model_dump() if hasattr(answer, "model_dump") else answer) == ["30", "31"]
