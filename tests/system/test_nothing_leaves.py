"""No command of the documentation turns to another machine, with an empty environment and a network without an exit."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.closed_network import Observation, missing_tools, observe, outside_addresses

pytestmark = pytest.mark.system

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 600.0
WINDOW = 12
"""Seconds that a server runs after it is ready; onnxruntime looks its collector up within three."""

LOG = """
python -m training.simulate --customers 150 --days 100 --out $WORK/log.json.gz
python -m training.featurize --data $WORK/data
"""
TRAIN = """
python -m training.train --data $WORK/data --search off --no-gender-cost --card $WORK/card
"""
REPORT = """
python -m monitoring.report --log-dir $CHURN_LOG_DIR --reports $WORK/reports || test $? = 2
"""


def server(start: str, address: str, then: str = "") -> str:
    """A script that starts a server, waits until it answers, and leaves it running for a while."""
    return f"""
{start} & server=$!
trap 'kill -TERM $server; wait $server || true' EXIT
for _ in $(seq 240); do
  kill -0 $server
  python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' {address} && ready=1 && break
  sleep 0.5
done 2>>$WORK/waiting.txt
test "$ready" = 1
{then}
sleep {WINDOW}
"""


ASK = """
python - <<'END'
import json, urllib.request
document = json.load(urllib.request.urlopen("http://127.0.0.1:3000/docs.json"))
body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
headers = {"Content-Type": "application/json"}
asked = urllib.request.Request("http://127.0.0.1:3000/predict", json.dumps(body).encode(), headers)
assert len(json.load(urllib.request.urlopen(asked))["predictions"]) == len(body["customers"])
END
"""
SERVE = server("bentoml serve service:Churn --host 127.0.0.1", "http://127.0.0.1:3000/readyz", ASK)

COMMANDS = {
    "bentoml serve": SERVE,
    "report": REPORT,
    "find_best_model": (
        "python -m training.select --data $WORK/data --report $WORK/selection --time-limit 30 --origins 1 --trees 50"
    ),
    "evaluate": "python -m training.evaluate --data $WORK/data --out $WORK/evaluation",
    "mlflow": server("python -m training.mlflow_pages --data $WORK/data", "http://127.0.0.1:5000/"),
    "monitor-ui": server(
        "python -m monitoring.evidently_ui --reports $WORK/reports --workspace $WORK/evidently",
        "http://127.0.0.1:8000/",
    ),
    "report-schedule": server(
        "python -m monitoring.report_schedule --log-dir $CHURN_LOG_DIR --reports $WORK/reports",
        "http://127.0.0.1:4200/api/health",
    ),
    "load-test": "python -m load_tests.load_test --users 2 --seconds 20 --report $WORK/load_test.html",
}
"""A command of the documentation, and the script that runs it."""


@dataclass(frozen=True)
class Workplace:
    """A folder with a log, a model in its own store, and predictions."""

    folder: Path
    prepared: Observation

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.folder)


def environment(folder: Path) -> dict[str, str]:
    return {
        "WORK": str(folder),
        "EVENTS": str(folder / "log.json.gz"),
        "BENTOML_HOME": str(folder / "bentoml"),
        "CHURN_CHAMPION": str(folder / "champion.json"),
        "CHURN_LOG_DIR": str(folder / "predictions"),
    }


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Prepared in the closed network too: simulated, featurized, trained with tracking, served once."""
    assert not missing_tools(), f"these Debian packages are missing: {' '.join(missing_tools())}"
    folder = tmp_path_factory.mktemp("closed")
    (folder / "bentoml").mkdir()
    prepared = observe(LOG + TRAIN + SERVE, folder / "prepare", ROOT, environment(folder), PATIENCE)
    return Workplace(folder, prepared)


def test_simulating_featurizing_training_and_serving_turn_to_nobody(workplace: Workplace) -> None:
    assert workplace.prepared.status == 0, workplace.prepared.output
    assert workplace.prepared.outside == ()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_turns_to_nobody(workplace: Workplace, command: str) -> None:
    seen = observe(
        COMMANDS[command], workplace.folder / command.replace(" ", "_"), ROOT, workplace.environment, PATIENCE
    )
    assert seen.status == 0, seen.output
    assert seen.outside == ()


def test_a_home_folder_holds_nothing_of_a_vendor(workplace: Workplace) -> None:
    home = workplace.folder / "prepare" / "home"
    assert not list(home.rglob("*.onnxruntime"))
    assert not list(home.rglob("deviceid"))


def test_without_its_switch_onnxruntime_is_caught(workplace: Workplace, tmp_path: Path) -> None:
    """The control: the same script, on a copy of the service from which one line is gone."""
    copy = tmp_path / "copy"
    for room in ("churn", "serving"):
        shutil.copytree(ROOT / room, copy / room)
    shutil.copy(ROOT / "service.py", copy)
    switches = copy / "churn" / "usage_reporting.py"
    lines = switches.read_text().splitlines(keepends=True)
    without = [line for line in lines if "ORT_DISABLE_TELEMETRY" not in line]
    assert len(without) == len(lines) - 1
    switches.write_text("".join(without))
    seen = observe(SERVE, tmp_path / "seen", copy, workplace.environment, PATIENCE)
    assert seen.outside != (), seen.output


def test_the_observer_sees_a_look_up(tmp_path: Path) -> None:
    script = "python -c \"import socket; socket.getaddrinfo('example.invalid', 443)\" || true"
    assert any(address.endswith(":53") for address in observe(script, tmp_path / "seen", ROOT, {}, 60).outside)


V4 = 'connect(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{address}")}}, 16) = -1'
V6 = (
    "connect(3, {{sa_family=AF_INET6, sin6_port=htons({port}), sin6_flowinfo=htonl(0), "
    'inet_pton(AF_INET6, "{address}", &sin6_addr), sin6_scope_id=0}}, 28) = -1'
)


@pytest.mark.parametrize(
    ("line", "address", "port"), [(V4, "10.1.2.3", 443), (V6, "2001:db8::1", 443), (V4, "127.0.0.53", 53)]
)
def test_an_outside_address_is_read_from_a_trace(line: str, address: str, port: int) -> None:
    assert outside_addresses(line.format(address=address, port=port)) == (f"{address}:{port}",)


@pytest.mark.parametrize(("line", "address"), [(V4, "127.0.0.1"), (V6, "::1"), (V6, "::ffff:127.0.0.1")])
def test_loopback_is_not_outside(line: str, address: str) -> None:
    assert outside_addresses(line.format(address=address, port=3000)) == ()
