"""The weekly reports as Prometheus metrics, for node_exporter's textfile collector and for a Pushgateway.

The figures are those of the newest week with a report, whichever week was made last, so that
making an old one again does not turn the clock back. Realised performance comes five weeks
late: of each kind, the newest week that has any, with that week's end beside it.
"""

import http.client
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client import generate_latest, push_to_gateway, pushadd_to_gateway
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from churn.errors import ChannelError
from churn.files import replace_file
from monitoring.reports.week import Week

JOB: Final = "churn_report"
"""Grouping key of the Pushgateway."""

TIMEOUT: Final = 10.0
"""Seconds that the Pushgateway may take for a step."""

VERDICTS: Final = ("ok", "drift", "too few")
SEVERITIES: Final = ("page", "warning", "none")
KINDS: Final = ("estimated", "realised")
BOUNDS: Final = ("value", "low", "high")

LAST_SUCCESS: Final = "churn_report_last_success_timestamp_seconds"
LAST_FAILURE: Final = "churn_report_last_failure_timestamp_seconds"
CHANNEL_FAILURES: Final = "churn_report_channel_failures"

METRICS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    LAST_SUCCESS: ("When a report was last made. Silence shows here.", ()),
    LAST_FAILURE: ("When a report could last not be made; gone with the next success.", ()),
    CHANNEL_FAILURES: ("1 for a channel that failed in the last run, 0 for one that worked.", ("channel",)),
    "churn_report_week_start_timestamp_seconds": ("First moment of the newest reported week.", ()),
    "churn_report_week_end_timestamp_seconds": ("First moment after it.", ()),
    "churn_report_verdict": ("1 for its verdict, 0 for the others.", ("verdict",)),
    "churn_report_severity": ("1 for the worst severity of its tests, 0 for the others.", ("severity",)),
    "churn_report_features": ("Features by severity.", ("severity",)),
    "churn_report_feature_effect": ("Effect of a feature's change as a multiple of its gate.", ("feature",)),
    "churn_report_feature_drifted": ("1 for a feature with a severity.", ("feature",)),
    "churn_report_predictions": ("Predictions of the week, of all models.", ()),
    "churn_report_customers": ("Customers they are about.", ()),
    "churn_report_flagged_share": ("Share of customers flagged.", ("population",)),
    "churn_report_mean_probability": ("Mean predicted probability.", ("population",)),
    "churn_report_stale_share": ("Share of predictions made from stale features.", ()),
    "churn_report_unusable_files": ("Log files with lines that cannot be used.", ()),
    "churn_report_unusable_lines": ("Such lines.", ()),
    "churn_report_performance": ("Performance of the model, with its 95 % interval.", ("kind", "metric", "bound")),
    "churn_report_performance_week_end_timestamp_seconds": ("End of the week that it is about.", ("kind",)),
    "churn_report_model_info": ("1 for the headline's model.", ("model", "week")),
}
"""Every metric with its meaning and labels; all are gauges."""

UNUSABLE: Final = ("partial", "foreign")
"""Fields of a log file's counts."""

Summary = Mapping[str, Any]
Sample = tuple[str, tuple[str, ...], float]


@dataclass(frozen=True)
class Families(Collector):
    """Metrics, ready to be written out."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def of_reports(summaries: Mapping[Week, Summary], failures: Mapping[str, bool], now: float) -> Families:
    """After a success at `now`, seconds since 1970.

    Args:
        summaries: the `summary.json` of every week, at least one.
        failures: for each channel in use, whether it failed.
        now: when the report was made.
    """
    newest = max(summaries)
    return _families(
        [
            (LAST_SUCCESS, (), now),
            *_channels(failures),
            *_week(newest, summaries[newest]),
            *_drift(summaries[newest]),
            *_volume(summaries[newest]),
            *_performance(summaries),
        ]
    )


def of_failure(failures: Mapping[str, bool], now: float) -> Families:
    """After a run that made no report: what it leaves unsaid, the last success above all, stays as it was."""
    return _families([(LAST_FAILURE, (), now), *_channels(failures)])


def _families(samples: Iterable[Sample]) -> Families:
    found: dict[str, GaugeMetricFamily] = {}
    for name, labels, value in samples:
        meaning, names = METRICS[name]
        found.setdefault(name, GaugeMetricFamily(name, meaning, labels=names)).add_metric(labels, value)
    return Families(tuple(found.values()))


def _channels(failures: Mapping[str, bool]) -> Iterator[Sample]:
    for channel, failed in sorted(failures.items()):
        yield CHANNEL_FAILURES, (channel,), float(failed)


def _week(week: Week, summary: Summary) -> Iterator[Sample]:
    yield "churn_report_week_start_timestamp_seconds", (), week.start.timestamp()
    yield "churn_report_week_end_timestamp_seconds", (), week.end.timestamp()
    yield "churn_report_model_info", (str(summary["model"]), str(week)), 1


def _drift(summary: Summary) -> Iterator[Sample]:
    features = summary["features"]
    for verdict in VERDICTS:
        yield "churn_report_verdict", (verdict,), float(summary["verdict"] == verdict)
    for severity in SEVERITIES:
        yield "churn_report_severity", (severity,), float(summary["severity"] == severity)
        count = sum(feature["severity"] == severity for feature in features)
        yield "churn_report_features", (severity,), count
    for feature in features:
        name = (str(feature["feature"]),)
        yield "churn_report_feature_drifted", name, float(feature["severity"] != "none")
        effect, gate = feature.get("effect"), feature.get("gate")
        if effect is not None and gate:
            yield "churn_report_feature_effect", name, effect / gate


def _volume(summary: Summary) -> Iterator[Sample]:
    volume = summary.get("volume") or summary  # while a new model takes over, the headline's is half of it
    yield "churn_report_predictions", (), volume["predictions"]
    yield "churn_report_customers", (), volume["customers"]
    for name in ("flagged_share", "mean_probability"):
        for population, value in summary[name].items():
            yield from _known(f"churn_report_{name}", (population,), value)
    yield from _known("churn_report_stale_share", (), (summary.get("stale") or {}).get("share"))
    yield "churn_report_unusable_files", (), len(summary["log"]["unusable"])
    yield "churn_report_unusable_lines", (), sum(summary["log"].get(name, 0) for name in UNUSABLE)


def _known(name: str, labels: tuple[str, ...], value: float | None) -> Iterator[Sample]:
    """Unknown is not zero: what has no value has no sample."""
    if value is not None:
        yield name, labels, value


def _performance(summaries: Mapping[Week, Summary]) -> Iterator[Sample]:
    for kind in KINDS:
        weeks = [week for week in summaries if _metrics(summaries[week], kind)]
        if not weeks:
            continue
        newest = max(weeks)
        yield "churn_report_performance_week_end_timestamp_seconds", (kind,), newest.end.timestamp()
        for metric, interval in _metrics(summaries[newest], kind).items():
            for bound in BOUNDS:
                yield from _known("churn_report_performance", (kind, metric, bound), interval.get(bound))


def _metrics(summary: Summary, kind: str) -> Mapping[str, Mapping[str, float | None]]:
    """The performance of one kind; empty when it is not known."""
    return ((summary.get("performance") or {}).get(kind) or {}).get("metrics") or {}


def write_textfile(path: Path, metrics: Families, keep: bool = False) -> None:
    """Replace the file in one step, readable by everybody; `keep` carries over what `metrics` does not name.

    Raises:
        ChannelError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise ChannelError(f"{path}: its folder does not exist; make it, or name another file (CHURN_METRICS_TEXTFILE)")
    try:
        replace_file(path, generate_latest(_carried_over(path, metrics) if keep else metrics))
    except OSError as error:
        raise ChannelError(f"{path}: {error.strerror or error}; see CHURN_METRICS_TEXTFILE") from error


def _carried_over(path: Path, metrics: Families) -> Families:
    named = {family.name for family in metrics.families}
    try:
        earlier = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):  # there is none, or it was not ours
        return metrics
    return Families((*(family for family in earlier if family.name not in named), *metrics.families))


def push(gateway: str, metrics: Families, keep: bool = False, timeout: float = TIMEOUT) -> None:
    """Replace what the gateway has of this job; `keep` leaves what `metrics` does not name.

    Raises:
        ChannelError: it was not taken.
    """
    send = pushadd_to_gateway if keep else push_to_gateway
    try:
        send(gateway, JOB, metrics, timeout=timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ChannelError(
            f"{gateway}: {_reason(error)}; check CHURN_PUSHGATEWAY and that it can be reached"
        ) from error


def _reason(error: Exception) -> str:
    """`HTTP Error 500: …`, or what kept the request from arriving."""
    reason = getattr(error, "reason", None)
    if isinstance(error, TimeoutError) or isinstance(reason, TimeoutError):
        return "no answer in time"
    return str(getattr(reason, "strerror", None) or error)
