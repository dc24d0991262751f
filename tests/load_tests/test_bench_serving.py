"""The table of the serving benchmark: what is reached and what is missed is said of the medians."""

from load_tests import bench_serving
from load_tests.bench_serving import FLOOR, OPEN, PREDECESSOR, SERVICE_NAME, UNLOGGED, USUAL, Job, Results
from load_tests.closed_loop import Measured


def measured(per_second: float, p99: float = 0.001) -> Measured:
    return Measured(100 / per_second, [p99] * 100)


def results(**rates: float) -> Results:
    found = Results({"name": "a forest", "trees": 1, "nodes": 3})
    for job in bench_serving.jobs():
        found.rounds[job] = [measured(rates.get(job.rival, 1000.0))] * 3
    for job in OPEN:
        found.rounds[job] = [measured(500, 0.003 if job.rival == SERVICE_NAME else 0.001)] * 3
    return found


def reached(found: Results) -> dict[str, bool]:
    return {target.what: target.reached for target in bench_serving.targets(found)}


def test_targets_are_reached_or_missed_by_the_medians() -> None:
    found = results(**{SERVICE_NAME: 1000, FLOOR: 1100, UNLOGGED: 1200, USUAL: 250, PREDECESSOR: 9})
    assert reached(found) == {
        "floor, 1 customer": True,
        "floor, 100 customers": True,
        "usual BentoML, 1 customer": False,
        "predecessor, 1 customer": True,
        "p99 over the floor's": False,
        "cost of the log": False,
    }
    slow = [measured(1000)] * 2
    found.rounds[Job(UNLOGGED, "/predict", 1)] = [measured(1200), *slow]  # the median counts, not one round
    assert reached(found)["cost of the log"]


def test_the_table_says_what_was_missed_and_the_report_too() -> None:
    found = results(**{PREDECESSOR: 50})
    lines = [line for line in bench_serving.table(found) if line.startswith("| predecessor")]
    assert lines == ["| predecessor, 1 customer | ≥ 100 | 20.00 | MISSED |"]
    [forest] = bench_serving.report([found], 1.0, 3)["forests"]
    missed = [target["what"] for target in forest["targets"] if not target["reached"]]
    assert "predecessor, 1 customer" in missed
