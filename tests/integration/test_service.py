"""The service as a backend team meets it: a real `bentoml serve` process, over HTTP."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from churn import VERSION
from churn.contract import CONTRACT_VERSION, NAMES, Customer, example_customer
from churn.model.artifact import FOREST, ONNX, sha256
from churn.model.champion import Champion, write_champion
from churn.model.explaining import Explainer
from churn.model.scoring import Scorer
from serving.api import MAXIMUM_EXPLAIN, MAXIMUM_PREDICT, ErrorResponse, ExplainResponse, PredictResponse
from tests.conftest import ChampionModel
from tests.support.log_contents import files, read
from tests.support.serving import PROJECT, Served, refused_start, serving
from training.table import bodies

pytestmark = pytest.mark.integration


def customers(count: int) -> list[dict[str, Any]]:
    """Customers that differ, with nulls among them."""
    made = [example_customer(str(number)) for number in range(count)]
    for number, row in enumerate(made):
        row |= {"tenure_days": None if number % 3 == 0 else float(number), "thumbs_down_28d": 4 + number % 50}
        row |= {"friction_28d": None, "friction_56d": None}
        row |= {"os": [None, "Windows", "Plan 9"][number % 3], "gender": [None, "F", "M"][number % 3]}
    return made


def expected(champion: ChampionModel, rows: list[dict[str, Any]]) -> tuple[Scorer, np.ndarray, np.ndarray]:
    scorer = Scorer(champion.model)
    matrix = scorer.encoder.rows([Customer.model_validate(row) for row in rows])
    return scorer, matrix, scorer.score(matrix)


def logged(service: Served) -> list[Any]:
    return [line for path in files(service.log) for line in read(path).lines]


def test_predict_answers_what_the_model_says_in_the_order_asked(client: httpx.Client, champion: ChampionModel) -> None:
    rows = customers(300)
    answer = PredictResponse.model_validate(client.post("/predict", json={"customers": rows}).json())
    scorer, _, score = expected(champion, rows)
    probability = scorer.probability(score)
    assert answer.model == champion.model.tag
    assert [given.customer_id for given in answer.predictions] == [row["customer_id"] for row in rows]
    assert [given.churn_probability for given in answer.predictions] == probability.tolist()
    assert [given.will_churn for given in answer.predictions] == scorer.flags(probability).tolist()
    assert len(set(probability.tolist())) > 10


def test_explain_adds_up_and_agrees_with_predict(client: httpx.Client, champion: ChampionModel) -> None:
    rows = customers(40)
    predictions = client.post("/predict", json={"customers": rows}).json()["predictions"]
    answer = ExplainResponse.model_validate(client.post("/explain", json={"customers": rows, "top_k": 3}).json())
    _, matrix, score = expected(champion, rows)
    contributions = Explainer(champion.model.forest(), champion.model.manifest.columns).contributions(matrix)
    for row, (given, prediction) in enumerate(zip(answer.explanations, predictions, strict=True)):
        assert given.churn_probability == prediction["churn_probability"]
        assert given.score == score[row]
        assert answer.base_value + sum(given.contributions.values()) == pytest.approx(given.score, abs=1e-6)
        assert list(given.contributions) == list(NAMES)
        assert list(given.contributions.values()) == pytest.approx(contributions[row].tolist(), abs=1e-9)
        assert len(given.reasons) == 3
        assert [reason.value for reason in given.reasons] == [rows[row][reason.feature] for reason in given.reasons]


def test_what_would_help_is_answered_only_when_asked_for(client: httpx.Client, champion: ChampionModel) -> None:
    rows = bodies.customers(champion.table.nlargest(40, "thumbs_down_14d").drop_duplicates("customer_id"))
    asked: dict[str, Any] = {"customers": rows, "top_k": 0}
    without = client.post("/explain", json=asked).json()["explanations"]
    assert all("what_would_help" not in given and given["reasons"] == [] for given in without)
    given = client.post("/explain", json=asked | {"what_would_help": True}).json()["explanations"]
    suggested = [(row, change) for row, one in enumerate(given) for change in one["what_would_help"]]
    assert suggested
    for row, change in suggested[:20]:
        assert change["from"] == rows[row][change["feature"]]
        changed = rows[row] | {change["feature"]: change["to"]}
        [prediction] = client.post("/predict", json={"customers": [changed]}).json()["predictions"]
        assert prediction["churn_probability"] == change["churn_probability"] < champion.model.manifest.threshold
        assert given[row]["churn_probability"] >= champion.model.manifest.threshold


@pytest.mark.parametrize(("path", "kind"), [("/predict", PredictResponse), ("/explain", ExplainResponse)])
def test_a_category_that_the_model_does_not_know_is_answered_with_a_warning(
    client: httpx.Client, champion: ChampionModel, path: str, kind: type[PredictResponse | ExplainResponse]
) -> None:
    known = next(column.category for column in champion.model.manifest.columns if column.feature == "os")
    rows = [example_customer("1") | {"os": known, "browser": None}, example_customer("2") | {"browser": None}]
    rows[1]["os"] = "Mac"
    answer = client.post(path, json={"customers": rows})
    assert answer.status_code == 200
    [warned] = kind.model_validate(answer.json()).warnings or []
    assert warned.loc == ["customers", 1, "os"]
    assert warned.msg.startswith("'Mac' of 1 customer is scored as other: the model knows ")
    assert "warnings" not in client.post(path, json={"customers": rows[:1]}).json()
    described = client.get("/docs.json").json()["components"]["schemas"]["Customer"]["properties"]["os"]["description"]
    assert f"This model knows {warned.msg.partition('the model knows ')[2]}; " in described


@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_counts_written_with_a_fraction_of_nothing_get_the_same_answer(client: httpx.Client, path: str) -> None:
    whole = {name: value for name, value in example_customer().items() if type(value) is int}
    sent = [example_customer(), example_customer() | {name: float(value) for name, value in whole.items()}]
    answers = [client.post(path, json={"customers": [one]}) for one in sent]
    assert [answered.status_code for answered in answers] == [200, 200]
    assert answers[0].content == answers[1].content


def test_the_examples_of_the_openapi_document_work_as_they_are(client: httpx.Client) -> None:
    document = client.get("/docs.json").json()
    for path, kind in (("/predict", PredictResponse), ("/explain", ExplainResponse)):
        example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        answer = client.post(path, json=example)
        assert answer.status_code == 200, answer.text
        kind.model_validate(answer.json())


def test_every_answer_is_in_the_log_with_its_request_id(service: Served, client: httpx.Client) -> None:
    rows = customers(3)
    for path in ("/predict", "/explain"):
        answer = client.post(path, json={"customers": rows}, headers={"x-request-id": f"test{path[1:]}"})
        assert answer.headers["x-request-id"] == f"test{path[1:]}"
        lines = [line for line in logged(service) if line["request_id"] == f"test{path[1:]}"]
        key = "predictions" if path == "/predict" else "explanations"
        for number, (line, row, given) in enumerate(zip(lines, rows, answer.json()[key], strict=True)):
            assert (line["row"], line["api"], line["customer_id"]) == (number, path[1:], row["customer_id"])
            assert line["features"] == {name: row[name] for name in NAMES}
            assert line["churn_probability"] == given["churn_probability"]
            assert (line["model"], line["contract"]) == (answer.json()["model"], CONTRACT_VERSION)
            assert line["as_of"] == row["as_of"]


def test_a_refused_request_is_not_logged_and_not_even_in_part(service: Served, client: httpx.Client) -> None:
    before = len(logged(service))
    answer = client.post("/predict", json={"customers": [*customers(5), example_customer("x") | {"songs_7d": -1}]})
    assert answer.status_code == 400
    assert answer.json()["detail"][0]["loc"] == ["customers", 5, "songs_7d"]
    assert len(logged(service)) == before


@pytest.mark.parametrize("fsync", ["0", "1"])
def test_requests_at_the_same_moment_get_each_its_own_answer_and_its_own_lines(
    champion: ChampionModel, tmp_path: Path, fsync: str
) -> None:
    rows = customers(120)
    asked = [rows[start : start + 1 + start % 4] for start in range(0, 120, 4)]
    for number in range(0, len(asked), 5):
        asked[number] = [*asked[number], rows[0] | {"customer_id": "x", "songs_7d": -1}]

    async def post(worker: int) -> list[httpx.Response]:
        async with contextlib.AsyncExitStack() as stack:
            callers = [
                await stack.enter_async_context(httpx.AsyncClient(base_url=served.url, timeout=60, verify=False))
                for _ in asked
            ]
            for caller in callers:
                await caller.get("/livez")  # connected
            os.kill(worker, signal.SIGSTOP)  # what is sent meanwhile is there when it goes on
            posts = [
                asyncio.create_task(
                    caller.post("/predict", json={"customers": some}, headers={"x-request-id": f"r{number}"})
                )
                for number, (caller, some) in enumerate(zip(callers, asked, strict=True))
            ]
            await asyncio.sleep(1)
            os.kill(worker, signal.SIGCONT)
            return await asyncio.gather(*posts)

    with serving(champion.environment | {"CHURN_LOG_FSYNC": fsync}, tmp_path) as served:
        answers = asyncio.run(post(served.workers()[0]))
        lines = logged(served)
        batches = series(httpx.get(f"{served.url}/metrics").text, "churn_requests_together_count")
    assert 0 < batches < len(asked)
    scorer, _, score = expected(champion, rows)
    probability = dict(zip((row["customer_id"] for row in rows), scorer.probability(score).tolist(), strict=True))
    for number, (some, answer) in enumerate(zip(asked, answers, strict=True)):
        mine = [line for line in lines if line["request_id"] == f"r{number}"]
        if number % 5 == 0:
            assert (answer.status_code, mine) == (400, [])
            assert answer.json()["detail"][0]["loc"] == ["customers", len(some) - 1, "songs_7d"]
        else:
            ids = [row["customer_id"] for row in some]
            given = answer.json()["predictions"]
            assert [one["customer_id"] for one in given] == ids
            assert [one["churn_probability"] for one in given] == [probability[one] for one in ids]
            assert [(line["row"], line["customer_id"]) for line in mine] == list(enumerate(ids))


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"\xff", JSON, 400),
        (b"[" * 1_000_000, JSON, 400),
        (b'{"customers": [NaN]}', JSON, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"{}", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"content-type": "application/vnd.bentoml+pickle"}, 415),
        (b"{}", {"content-type": "application/json; charset=utf-16"}, 415),
        (b"{}", JSON | {"content-encoding": "gzip"}, 415),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_a_wrong_body_is_refused_in_the_same_shape(
    client: httpx.Client, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code == status
    ErrorResponse.model_validate(answer.json())


@pytest.mark.parametrize(("path", "limit"), [("/predict", MAXIMUM_PREDICT), ("/explain", MAXIMUM_EXPLAIN)])
def test_more_customers_than_allowed_is_413(client: httpx.Client, path: str, limit: int) -> None:
    answer = client.post(path, json={"customers": [{}] * (limit + 1)})
    assert answer.status_code == 413
    assert str(limit) in answer.json()["detail"][0]["msg"]


def test_ten_thousand_customers_at_once_are_answered(client: httpx.Client) -> None:
    rows = customers(MAXIMUM_PREDICT)
    answer = client.post("/predict", json={"customers": rows}).json()
    assert [given["customer_id"] for given in answer["predictions"]] == [row["customer_id"] for row in rows]


@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_body_is_refused_without_being_kept(service: Served, client: httpx.Client, declared: bool) -> None:
    before = most_memory_mb(service)
    piece, headers = b" " * 1024 * 1024, JSON | ({"content-length": str(200 * 1024 * 1024)} if declared else {})
    answer = client.post("/predict", content=(piece for _ in range(200)), headers=headers)
    assert answer.status_code == 413
    ErrorResponse.model_validate(answer.json())
    assert most_memory_mb(service) - before < 32 + 32  # at most what a worker may hold, and not 200


def most_memory_mb(service: Served) -> float:
    """The most memory that the worker ever held, in MB."""
    [worker] = service.workers()
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def test_unknown_paths_and_methods_are_refused_in_the_same_shape(client: httpx.Client) -> None:
    for answer, status in (
        (client.get("/predict"), 405),
        (client.put("/explain"), 405),
        (client.post("/docs.json"), 405),
        (client.post("/nothing", json={}), 404),
        (client.get("/predict/"), 404),
    ):
        assert answer.status_code == status
        ErrorResponse.model_validate(answer.json())


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/", "/schema.json"])
def test_what_operators_look_at_is_there(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def series(metrics: str, name: str) -> float:
    """The value of one series; 0 when there is none."""
    found = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return float(found[0].split()[-1]) if found else 0.0


def test_metrics_count_what_was_answered_and_random_paths_make_no_series(client: httpx.Client) -> None:
    def value(name: str) -> float:
        return series(client.get("/metrics").text, name)

    expected = {
        'churn_requests_total{path="/predict",status="200"}': 1,
        'churn_batch_size_sum{api="predict"}': 7,
        'churn_refused_fields_total{field="songs_7d",reason="out_of_range"}': 1,
        'churn_refused_fields_total{field="other",reason="unknown_field"}': 1,
        'churn_requests_total{path="other",status="404"}': 20,
    }
    before = {name: value(name) for name in expected}
    client.post("/predict", json={"customers": customers(7)})
    client.post("/predict", json={"customers": [example_customer() | {"songs_7d": -1, "x" * 50: 1}]})
    for number in range(10):
        client.get(f"/random-{number}")
        client.get(f"/static_content/random-{number}")
    assert {name: value(name) - before[name] for name in expected} == expected
    text = client.get("/metrics").text
    assert "random-" not in text
    assert "churn_model_created_timestamp_seconds{" in text


def test_a_second_service_on_the_machine_leaves_the_metrics_of_the_first_alone(
    service: Served, client: httpx.Client, champion: ChampionModel, tmp_path: Path
) -> None:
    def answered(url: str) -> float:
        return series(httpx.get(f"{url}/metrics").text, 'churn_requests_total{path="/predict",status="200"}')

    client.post("/predict", json={"customers": customers(1)})
    before = answered(service.url)
    with serving(champion.environment, tmp_path) as second:
        for _ in range(3):
            httpx.post(f"{second.url}/predict", json={"customers": customers(1)})
        client.post("/predict", json={"customers": customers(1)})
        assert (answered(service.url) - before, answered(second.url)) == (1, 3)


def test_with_keys_configured_only_who_has_one_is_answered(champion: ChampionModel, tmp_path: Path) -> None:
    with serving(champion.environment | {"CHURN_API_KEYS": "a-key-of-the-shop-1"}, tmp_path) as served:
        with served.client() as client:
            body = {"customers": customers(1)}
            assert client.post("/predict", json=body).status_code == 401
            assert client.get("/livez").status_code == 200
            key = {"authorization": "Bearer a-key-of-the-shop-1"}
            assert client.post("/predict", json=body, headers=key).status_code == 200
        assert "a-key-of-the-shop" not in served.said()


def test_an_unusable_request_id_is_replaced(client: httpx.Client) -> None:
    given = ["x" * 65, "a b", 'a"b', ""]
    ids = [client.post("/predict", json={}, headers={"x-request-id": bad}).headers["x-request-id"] for bad in given]
    assert all(len(made) == 32 for made in ids)
    assert len(set(ids)) == len(given)


def test_sigterm_ends_it_cleanly(champion: ChampionModel, tmp_path: Path) -> None:
    with serving(champion.environment, tmp_path) as served, served.client() as client:
        client.post("/predict", json={"customers": customers(2)})
        assert served.stop() == 0
        assert [line["customer_id"] for line in logged(served)] == ["0", "1"]


def told(served: Served) -> list[dict[str, Any]]:
    """What the service said in JSON."""
    return [json.loads(line) for line in served.said().splitlines() if line.startswith("{")]


def test_it_says_as_json_what_it_is_when_it_starts_and_that_it_stops(champion: ChampionModel, tmp_path: Path) -> None:
    with serving(champion.environment, tmp_path) as served:
        [worker] = served.workers()
        served.stop()
        by_event = {line["event"]: line for line in told(served)}
    assert "no API key is configured" in by_event["warning"]["message"]
    start = by_event["start"]
    engine = start["explainer"]
    assert (start["version"], start["model"], start["contract"]) == (VERSION, champion.model.tag, CONTRACT_VERSION)
    assert (start["worker"], start["workers"], start["api_key"]) == (worker, 1, False)
    assert start["log_folder"] == str(served.log)
    assert engine in {"native", "numpy"}
    assert ("verified" in start["explainer_note"]) == (engine == "native")
    assert by_event["stop"]["worker"] == worker


def test_on_request_every_request_gets_one_line_without_customer_data(champion: ChampionModel, tmp_path: Path) -> None:
    with serving(champion.environment | {"CHURN_REQUEST_LOG": "all"}, tmp_path) as served, served.client() as client:
        client.post("/predict", json={"customers": [example_customer("a-secret-id")]}, headers={"x-request-id": "one"})
        client.post("/predict", json={"customers": [example_customer("a-secret-id") | {"songs_7d": -1}]})
        client.get("/nothing")
        served.stop()
        requests = [line for line in told(served) if line["event"] == "request"]
        said = served.said()
    assert [(line["path"], line["status"]) for line in requests] == [
        ("/predict", 200),
        ("/predict", 400),
        ("other", 404),
    ]
    assert requests[0]["request_id"] == "one"
    assert requests[1]["error"] == "1 problem in the request"
    assert "a-secret-id" not in said


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_write_a_log_file_each_lose_nothing_and_their_metrics_add_up(
    champion: ChampionModel, tmp_path: Path, workers: int
) -> None:
    with serving(champion.environment | {"CHURN_WORKERS": str(workers)}, tmp_path) as served:
        sent = 0
        while sent < 60 or len(files(served.log)) < workers:  # a new connection each, so that all workers get some
            with served.client() as client:
                client.post("/predict", json={"customers": [example_customer(str(sent))]})
            sent += 1
            assert sent < 5_000, "a worker never got a request"
        assert sorted(line["customer_id"] for line in logged(served)) == sorted(map(str, range(sent)))
        assert len(files(served.log)) == workers
        metrics = httpx.get(f"{served.url}/metrics").text
        assert f'churn_requests_total{{path="/predict",status="200"}} {sent:.1f}' in metrics.splitlines()


def test_without_a_champion_it_refuses_to_start(champion: ChampionModel, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    said = refused_start(champion.environment | {"CHURN_CHAMPION": missing}, tmp_path)
    assert f"no champion: {missing} does not exist; run `make train`" in said
    assert "Traceback" not in said


def test_with_a_pointer_to_a_model_that_is_not_there_it_refuses_to_start(
    champion: ChampionModel, tmp_path: Path
) -> None:
    pointer = tmp_path / "champion.json"
    write_champion(pointer, Champion("churn:nosuchversion", "0" * 64))
    said = refused_start(champion.environment | {"CHURN_CHAMPION": str(pointer)}, tmp_path)
    assert "churn:nosuchversion is not in the model store" in said


@pytest.mark.parametrize("name", [ONNX, FOREST, "manifest.json"])
def test_with_an_altered_model_file_it_refuses_to_start(champion: ChampionModel, tmp_path: Path, name: str) -> None:
    environment, model = _copy_of_the_store(champion, tmp_path)
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model / name).write_bytes(content)
    said = refused_start(environment, tmp_path)
    assert f"{champion.model.tag}: {name} was altered" in said
    assert "Traceback" not in said


def test_with_a_model_of_another_contract_it_refuses_to_start(champion: ChampionModel, tmp_path: Path) -> None:
    environment, model = _copy_of_the_store(champion, tmp_path)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["contract"] = "1-00000000"
    content = json.dumps(manifest).encode()
    (model / "manifest.json").write_bytes(content)
    pointer = tmp_path / "champion.json"
    write_champion(pointer, Champion(champion.model.tag, sha256(content)))
    said = refused_start(environment | {"CHURN_CHAMPION": str(pointer)}, tmp_path)
    assert f"made for contract 1-00000000, this code has {CONTRACT_VERSION}" in said


def _copy_of_the_store(champion: ChampionModel, folder: Path) -> tuple[dict[str, str], Path]:
    home = folder / "store"
    shutil.copytree(champion.home, home)
    place = champion.model.path.relative_to(champion.home)
    return champion.environment | {"BENTOML_HOME": str(home)}, home / place


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHURN_WORKERS", "none", "CHURN_WORKERS='none': expected a whole number from 1 to 256"),
        ("CHURN_LOG_FSYNC", "yes", "CHURN_LOG_FSYNC='yes': expected 0 or 1"),
        ("CHURN_LOG_DIR", "/proc/nowhere", "the prediction log cannot be written: /proc/nowhere"),
    ],
)
def test_with_a_wrong_setting_it_refuses_to_start(
    champion: ChampionModel, tmp_path: Path, name: str, value: str, said: str
) -> None:
    assert said in refused_start(champion.environment | {name: value}, tmp_path)


def test_the_bento_holds_the_service_and_the_champion_and_serves(champion: ChampionModel, tmp_path: Path) -> None:
    bento = _built(champion)
    shipped = {str(path.relative_to(bento / "src")) for path in (bento / "src").rglob("*") if path.is_file()}
    assert {"service.py", "champion.json", "churn/contract.py", "churn/model/native/libraries.json"} <= shipped
    assert not [name for name in shipped if name.startswith(("training/", "monitoring/", "tests/", "scripts/"))]
    assert "churn/prediction_log/__main__.py" in shipped
    assert "--hash=sha256:" in (bento / "env" / "python" / "requirements.txt").read_text()
    environment = {name: value for name, value in champion.environment.items() if name != "CHURN_CHAMPION"}
    with serving(environment, tmp_path, target=str(bento), cwd=tmp_path) as served, served.client() as client:
        assert client.post("/predict", json={"customers": customers(2)}).json()["model"] == champion.model.tag


def _built(champion: ChampionModel) -> Path:
    built = subprocess.run(
        [sys.executable, "-m", "scripts.bento"],
        cwd=PROJECT,
        env=os.environ | champion.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    name, version = built.stdout.split()[-1].split(":")
    return champion.home / "bentos" / name / version
