"""The service beside the framework's floor, BentoML's usual way and the predecessor's, in one run.

`python -m load_tests.bench_serving`: closed loop, 16 connections, from another process than
the service's, one rival after the other on the same machine. Prints a table and ratios, and
writes `data/bench_serving.json`. The champion is served; the rivals' forest is one of as many
trees and as deep, fitted on the champion's reference sample.
"""

import contextlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

import bentoml
import joblib  # type: ignore[import-untyped]  # what the rivals use; it ships no types
import numpy as np
import orjson
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from churn import artifact
from churn.contract import NUMERIC
from load_tests.closed_loop import measure
from load_tests.customers import draw

ROOT: Final = Path(__file__).parent.parent
CONNECTIONS: Final = 16
SECONDS: Final = float(os.environ.get("SECONDS") or 5)
BATCHES: Final = (1, 100)
START_SECONDS: Final = 120
DEPTH: Final = 8

RIVALS: Final = {
    "service": ("bentoml", "serve", "service:Churn"),
    "floor": ("bentoml", "serve", "load_tests.rivals:Floor"),
    "usual BentoML": ("bentoml", "serve", "load_tests.rivals:Usual"),
    "predecessor": ("uvicorn", "load_tests.predecessor:app", "--log-level", "error"),
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as name:
        environment = os.environ | {"RIVAL_FOREST": _forest(Path(name)), "CHURN_LOG_DIR": f"{name}/log"}
        environment |= {"BENTOML_DO_NOT_TRACK": "true"}
        found = {rival: _bench(rival, environment) for rival in RIVALS}
    _show(found)
    target = ROOT / "data" / "bench_serving.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(f"written to {target.relative_to(ROOT)}")


def _forest(folder: Path) -> str:
    """A forest of scikit-learn of the champion's size, as a file."""
    champion = artifact.read_champion(artifact.champion_path())
    model = artifact.load(Path(bentoml.models.get(champion.tag).path), champion.tag, champion.sha256)
    reference = pd.read_parquet(io.BytesIO(model.reference()))
    matrix = reference[list(NUMERIC)].astype("float32").fillna(-1).to_numpy()
    forest = RandomForestClassifier(len(model.forest().roots), max_depth=DEPTH, random_state=0)
    forest.fit(matrix, np.arange(len(matrix)) % 2)
    path = folder / "forest.joblib"
    joblib.dump(forest, path)
    return str(path)


def _bench(rival: str, environment: Mapping[str, str]) -> dict[str, dict[str, float]]:
    generator = draw(random.Random(1))
    sizes = BATCHES[:1] if rival == "predecessor" else BATCHES  # row by row, a hundred take it seconds
    with _started(RIVALS[rival], environment) as url:
        return {str(size): _measured(url, list(islice(generator, size))) for size in sizes}


def _measured(url: str, customers: list[dict[str, object]]) -> dict[str, float]:
    result = measure(f"{url}/predict", orjson.dumps({"customers": customers}), CONNECTIONS, SECONDS)
    return {
        "requests_per_second": round(result.per_second, 1),
        "p50_ms": round(result.percentile(0.5) * 1000, 2),
        "p99_ms": round(result.percentile(0.99) * 1000, 2),
        "errors": result.errors,
    }


@contextlib.contextmanager
def _started(command: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/docs.json", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # FastAPI calls the document otherwise; it answers
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{process.args!r} did not start")


def _show(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    floor = found["floor"]
    for size in map(str, BATCHES):
        print(f"\n{size} customers a request: requests/s, p50 and p99 in ms, share of the floor, errors")
        for rival, results in found.items():
            if size not in results:
                continue
            one = results[size]
            share = one["requests_per_second"] / floor[size]["requests_per_second"]
            print(
                f"  {rival:14} {one['requests_per_second']:9.1f} {one['p50_ms']:8.2f} {one['p99_ms']:8.2f} "
                f"{share:8.2f} {one['errors']:6.0f}"
            )


if __name__ == "__main__":
    main()
