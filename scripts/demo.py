"""`make demo`: the whole path once, as a user would walk it, ending in a page of results.

Log, features, training, model store, bento, service over HTTP, prediction log, drift
report. Each step is the command that `make` runs; the log is `EVENTS`, or the real one
if it lies in the data folder, or a simulated one. The model becomes the champion.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import httpx

from churn.activity.dataset_facts import LogFacts, log_facts
from churn.command import run, say, show
from churn.errors import DemoError
from churn.model.champion import Champion, champion_path, read_champion
from churn.model.store import stored_model
from churn.moments import iso, week_of
from churn.server_process import ServerProcess, free_port, start, stopped_at_the_end
from churn.settings import LAST_PORT, Setting, whole_number
from monitoring.findings.summary import Summary
from scripts.bento import build

DATA: Final = Path(os.environ.get("DATA") or "data")
REPORTS: Final = Path(os.environ.get("REPORTS") or "reports")
LOG_DIR: Final = Path(os.environ.get("CHURN_LOG_DIR") or DATA / "predictions")
PORT: Final = Setting("PORT", "0", "Port of the service; 0 takes a free one.")
MOST_AT_RISK: Final = 3
REPORT_WITHOUT_ALARM, REPORT_WITH_ALARM = 0, 2
QUICK: Final = ("--search", "off", "--no-gender-cost", "--no-tracking")
"""A forest of the usual size instead of a search for the smallest; `make train` does all of it."""


def main() -> None:
    started = time.monotonic()
    step(1, "reading the log, computing features and labels")
    command("training.featurize", "--data", str(DATA), "--format", "requests")
    step(2, "training the forest, evaluating it on held-out customers, saving it to the model store")
    command("training.train", "--data", str(DATA), "--promote", "--card", str(REPORTS / "model_card"), *QUICK)
    champion = read_champion(champion_path())
    step(3, "building the bento")
    bento = build()
    step(4, f"serving {bento}, scoring everybody at risk over HTTP")
    with served(bento) as service:
        predictions, explanations = ask(service.url)
    step(5, "comparing what was served with what the model was trained on")
    facts = log_facts(DATA)
    week = week_of(facts.log_end + 1)
    status = command(
        "monitoring.report",
        "--log-dir",
        str(LOG_DIR),
        "--reports",
        str(REPORTS),
        "--week",
        week,
        allowed=(REPORT_WITHOUT_ALARM, REPORT_WITH_ALARM),
    )
    file = REPORTS / week / "summary.json"
    drift = Summary.read(file.read_bytes(), file)
    for line in summary(facts, champion, bento, predictions, explanations, drift, week, status):
        show(line)
    say(f"done in {time.monotonic() - started:.0f} s")


def step(number: int, what: str) -> None:
    say(f"\n[{number}/5] {what}")


def command(module: str, *arguments: str, allowed: tuple[int, ...] = (0,)) -> int:
    """Run one of the project's commands; its progress and its results are the user's to read."""
    status = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
    if status not in allowed:
        raise DemoError(f"`python -m {module}` ended with status {status}; its message is above")
    return status


def served(bento: str) -> AbstractContextManager[ServerProcess]:
    """The bento behind HTTP, until the block ends."""
    port = whole_number(PORT, 0, LAST_PORT) or free_port()
    # The bento holds its own champion.
    environment = {"CHURN_LOG_DIR": str(LOG_DIR.resolve()), "CHURN_CHAMPION": None}
    return stopped_at_the_end(start(("bentoml", "serve", bento), port, environment, folder=Path.cwd()))


def ask(url: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Predict for every body that `make featurize FORMAT=requests` wrote; explain those most at risk."""
    customers: dict[str, dict[str, Any]] = {}
    predictions: list[dict[str, Any]] = []
    for body in sorted((DATA / "requests").glob("*.json")):
        content = body.read_bytes()
        predictions += _post(f"{url}/predict", content)["predictions"]
        customers |= {customer["customer_id"]: customer for customer in json.loads(content)["customers"]}
    predictions.sort(key=lambda row: (-row["churn_probability"], row["customer_id"]))
    top = [customers[row["customer_id"]] for row in predictions[:MOST_AT_RISK]]
    explained = _post(f"{url}/explain", json.dumps({"customers": top, "top_k": 3}).encode()) if top else {}
    return predictions, explained.get("explanations", [])


def _post(url: str, content: bytes) -> dict[str, Any]:
    answer = httpx.post(url, content=content, headers={"content-type": "application/json"}, timeout=60)
    if answer.status_code != httpx.codes.OK:
        raise DemoError(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    found: dict[str, Any] = answer.json()
    return found


def summary(
    facts: LogFacts,
    champion: Champion,
    bento: str,
    predictions: list[dict[str, Any]],
    explanations: list[dict[str, Any]],
    drift: Summary,
    week: str,
    status: int,
) -> Iterator[str]:
    """The results in figures, and the place of each."""
    model = stored_model(champion.tag, champion.sha256)
    metrics, training = model.evaluation, model.training
    auc = metrics.figures["auc"]
    read, flagged = facts.read, sum(row["will_churn"] for row in predictions)
    yield ""
    yield "What happened"
    yield (
        f"  log          {read.rows:,} rows, {read.kept:,} kept, {read.customers:,} customers, to {iso(facts.log_end)}"
    )
    yield (
        f"  training     {training.rows:,} rows of {training.customers:,} customers at "
        f"{len(training.snapshots)} weekly snapshots; {training.churn_rate:.1%} churned within "
        f"{training.horizon_days} days (label `{training.label}`)"
    )
    yield (
        f"  held out     AUC {auc.value:.3f} (95 % interval {auc.low:.3f} to {auc.high:.3f}) on "
        f"{metrics.rows:,} rows of {metrics.customers:,} customers, {metrics.churners} of them churned"
    )
    if metrics.warning:
        yield f"               {metrics.warning}"
    yield (
        f"  scored       {len(predictions):,} customers at risk in {week}; {flagged} flagged "
        f"(probability at least {model.manifest.threshold:.3f})"
    )
    yield "  most at risk"
    for row in explanations:
        yield f"    customer {row['customer_id']}: {row['churn_probability']:.0%}"
        yield from (f"      - {reason['text']}" for reason in row["reasons"])
    yield f"  drift        {drift.sentence}" + ("" if status == REPORT_WITHOUT_ALARM else "  (alarm)")
    yield "Where it lies"
    yield f"  model        {champion.tag} in the BentoML store; champion pointer {champion_path()}"
    yield f"  bento        {bento}"
    yield f"  requests     {DATA / 'requests'}, ready to post"
    yield f"  predictions  {LOG_DIR}"
    yield f"  report       {REPORTS / week / 'drift.html'} (all weeks: {REPORTS / 'index.html'})"
    yield f"  at risk      {REPORTS / week / 'at_risk.csv'}"
    yield "Next: `make serve`, then post a file of the requests folder to http://127.0.0.1:3000/predict"


if __name__ == "__main__":
    run(main)
