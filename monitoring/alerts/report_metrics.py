"""The weekly reports as Prometheus metrics, for node_exporter's textfile collector and for a Pushgateway.

The figures are those of the newest week with a report, whichever week was made last, so that
making an old one again does not turn the clock back. Realised performance comes five weeks
late: of each kind, the newest week that has any, with that week's end beside it.
"""

import http.client
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from prometheus_client import generate_latest, push_to_gateway, pushadd_to_gateway
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from churn.errors import ChannelError
from churn.files import replace_file
from monitoring.findings.alarm import LEVELS
from monitoring.findings.drift import SEVERITIES, Verdict
from monitoring.findings.summary import Summary
from monitoring.reports.week import Week

JOB: Final = "churn_report"
"""Grouping key of the Pushgateway, with the namespace where there is one."""

TIMEOUT: Final = 10.0
"""Seconds that the Pushgateway may take for a step."""


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
    "churn_report_level": ("1 for the report's level, 0 for the others.", ("level",)),
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
        summaries: of every week with a report, at least one.
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
    yield "churn_report_model_info", (summary.model, str(week)), 1


def _drift(summary: Summary) -> Iterator[Sample]:
    for verdict in get_args(Verdict):
        yield "churn_report_verdict", (verdict,), float(summary.verdict == verdict)
    for level in LEVELS:
        yield "churn_report_level", (level,), float(summary.urgency == level)
    for severity in SEVERITIES:
        yield "churn_report_severity", (severity,), float(summary.severity == severity)
        count = sum(feature.severity == severity for feature in summary.features)
        yield "churn_report_features", (severity,), count
    for feature in summary.features:
        yield "churn_report_feature_drifted", (feature.feature,), float(feature.severity != "none")
        if feature.gate:  # without a gate any effect is past it: there is no multiple to draw
            yield from _known("churn_report_feature_effect", (feature.feature,), feature.multiple)


def _volume(summary: Summary) -> Iterator[Sample]:
    yield "churn_report_predictions", (), summary.all_predictions
    yield "churn_report_customers", (), summary.all_customers
    figures = {"flagged_share": summary.flagged_share, "mean_probability": summary.mean_probability}
    for name, figure in figures.items():
        yield from _known(f"churn_report_{name}", ("reference",), figure.reference)
        yield from _known(f"churn_report_{name}", ("current",), figure.current)
    yield from _known("churn_report_stale_share", (), None if summary.stale is None else summary.stale.share)
    yield "churn_report_unusable_files", (), len(summary.log.unusable)
    yield "churn_report_unusable_lines", (), summary.log.left_out


def _known(name: str, labels: tuple[str, ...], value: float | None) -> Iterator[Sample]:
    """Unknown is not zero: what has no value has no sample."""
    if value is not None and not math.isnan(value):
        yield name, labels, value


def _performance(summaries: Mapping[Week, Summary]) -> Iterator[Sample]:
    """Of each kind, the newest week that has any measure."""
    measures = {
        "estimated": {week: summary.performance.estimated_metrics for week, summary in summaries.items()},
        "realised": {week: summary.performance.realised_metrics for week, summary in summaries.items()},
    }
    for kind, by_week in measures.items():
        known = {week: named for week, metrics in by_week.items() if (named := dict(metrics.named()))}
        if not known:
            continue
        newest = max(known)
        yield "churn_report_performance_week_end_timestamp_seconds", (kind,), newest.end.timestamp()
        for metric, figure in known[newest].items():
            for bound, value in vars(figure).items():
                yield from _known("churn_report_performance", (kind, metric, bound), value)


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


def push(gateway: str, metrics: Families, namespace: str = "", keep: bool = False, timeout: float = TIMEOUT) -> None:
    """Replace what the gateway has of this job and namespace; `keep` leaves what `metrics` does not name.

    The namespace becomes a label of every metric. Deployments without one overwrite each other.

    Raises:
        ChannelError: it was not taken.
    """
    send = pushadd_to_gateway if keep else push_to_gateway
    try:
        send(gateway, JOB, metrics, {"namespace": namespace} if namespace else None, timeout=timeout)
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
