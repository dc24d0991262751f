"""`make dashboards`: what Grafana shows of the service and of the weekly report, into `deploy/grafana/dashboards/`.

Every expression is run against a real Prometheus in `tests/system/test_dashboards.py`. Figures of
the report come through a Pushgateway or a textfile, so they are asked for without the job's name.
"""

import argparse
from pathlib import Path
from typing import Final

from churn.command import run, show
from churn.files import replace_file
from monitoring.grafana.dashboard_panels import Chart, Limit, Page, Query, Section, to_json

FOLDER: Final = Path("deploy/grafana/dashboards")

SCORING: Final = 'job="churn-service", path=~"/predict|/explain"'
REQUESTS: Final = f"sum(rate(churn_requests_total{{{SCORING}}}[5m]))"
ERRORS: Final = f'sum(rate(churn_requests_total{{{SCORING}, status=~"5.."}}[5m])) or vector(0)'


def _requests(status: str) -> str:
    return f'sum by (status) (rate(churn_requests_total{{{SCORING}, status=~"{status}"}}[$__rate_interval]))'


def _quantiles(path: str) -> tuple[Query, ...]:
    buckets = (
        f'sum by (le) (rate(churn_request_seconds_bucket{{job="churn-service", path="{path}"}}[$__rate_interval]))'
    )
    named = ((0.5, "half are faster"), (0.95, "95 in 100"), (0.99, "99 in 100"))
    return tuple(Query(f"histogram_quantile({quantile}, {buckets})", legend) for quantile, legend in named)


SERVICE: Final = Page(
    "churn-service",
    "Churn: service",
    "Whether the service answers, how fast, and how much more it can take.",
    "6h",
    "30s",
    (
        Section(
            "Now",
            (
                Chart(
                    "Instances that answer",
                    "number",
                    "short",
                    "Replicas that Prometheus can reach. None: nobody gets an answer.",
                    (Query('sum(up{job="churn-service"})', "instances"),),
                    Limit(1, below=True),
                    width=4,
                ),
                Chart(
                    "Errors",
                    "number",
                    "percentunit",
                    "Answers of the last 5 minutes that are errors of the service (5xx). Over 1 % pages.",
                    (Query(f"({ERRORS}) / {REQUESTS}", "errors"),),
                    Limit(0.01),
                    width=4,
                ),
                Chart(
                    "Slowest 1 % of predict",
                    "number",
                    "s",
                    "99 in 100 predictions of the last 5 minutes were faster. Over half a second makes a ticket.",
                    (
                        Query(
                            "histogram_quantile(0.99, sum by (le) "
                            '(rate(churn_request_seconds_bucket{job="churn-service", path="/predict"}[5m])))',
                            "99 in 100",
                        ),
                    ),
                    Limit(0.5),
                    width=4,
                ),
                Chart(
                    "Predictions not logged",
                    "number",
                    "short",
                    "In the last hour. What cannot be logged is not answered: any is too many.",
                    (Query('sum(increase(churn_log_failures_total{job="churn-service"}[1h]))', "failures"),),
                    Limit(1),
                    width=4,
                ),
                Chart(
                    "Alerts that fire",
                    "number",
                    "short",
                    "What each means and what to do: docs/runbook.md.",
                    (Query('count(ALERTS{alertstate="firing", alertname=~"Churn.*"}) or vector(0)', "alerts"),),
                    Limit(1),
                    width=4,
                ),
                Chart(
                    "Age of the model",
                    "number",
                    "s",
                    "Since the model that answers was made. Over 120 days makes a ticket: time to retrain.",
                    (Query('time() - max(churn_model_created_timestamp_seconds{job="churn-service"})', "age"),),
                    Limit(120 * 86_400),
                    width=4,
                ),
            ),
        ),
        Section(
            "Traffic",
            (
                Chart(
                    "Requests a second",
                    "lines",
                    "reqps",
                    "By API. One request carries up to 10,000 customers.",
                    (
                        Query(
                            f"sum by (path) (rate(churn_requests_total{{{SCORING}}}[$__rate_interval]))",
                            "{{path}}",
                        ),
                    ),
                ),
                Chart(
                    "Refused, a second",
                    "lines",
                    "reqps",
                    "Answers with 4xx, by status. 400: callers' mistakes, see the predictions dashboard; 401: keys; "
                    "429: more at a time than a replica takes.",
                    (Query(_requests("4.."), "{{status}}"),),
                ),
                Chart(
                    "Errors, a second",
                    "lines",
                    "reqps",
                    "Answers with 5xx. 503: the prediction log cannot be written.",
                    (Query(f'sum(rate(churn_requests_total{{{SCORING}, status=~"5.."}}[5m])) or vector(0)', "5xx"),),
                    Limit(0.01),
                ),
            ),
        ),
        Section(
            "Speed and room",
            (
                Chart(
                    "How long predict takes",
                    "lines",
                    "s",
                    "From the request's headers to its answer. Larger batches take longer, and less for each customer.",
                    _quantiles("/predict"),
                    Limit(0.5),
                ),
                Chart(
                    "How long explain takes",
                    "lines",
                    "s",
                    "From the request's headers to its answer; an explanation costs many times what a prediction does.",
                    _quantiles("/explain"),
                ),
                Chart(
                    "Requests in flight",
                    "lines",
                    "short",
                    "At a time, by replica. The autoscaler aims at 16; each worker refuses the 65th.",
                    (Query('sum by (instance) (churn_requests_in_flight{job="churn-service"})', "{{instance}}"),),
                    Limit(64),
                ),
            ),
        ),
        Section(
            "What answers",
            (
                Chart(
                    "Replicas by model",
                    "lines",
                    "short",
                    "Two at once only while a new version is rolled out.",
                    (
                        Query(
                            "count by (model) "
                            '(count by (model, instance) (churn_model_created_timestamp_seconds{job="churn-service"}))',
                            "{{model}}",
                        ),
                    ),
                    width=12,
                ),
                Chart(
                    "Alerts",
                    "table",
                    "short",
                    "Those that fire now; empty is good.",
                    (Query('ALERTS{alertstate="firing", alertname=~"Churn.*"}', "{{alertname}}"),),
                    width=12,
                ),
            ),
        ),
    ),
)


def _scored(answer: str) -> str:
    return f'sum(rate(churn_predictions_total{{job="churn-service", will_churn=~"{answer}"}}[$__rate_interval]))'


PREDICTIONS: Final = Page(
    "churn-predictions",
    "Churn: predictions",
    "What the service is asked and what it answers: live, and week by week from the report.",
    "7d",
    "1m",
    (
        Section(
            "Live",
            (
                Chart(
                    "Customers a second",
                    "lines",
                    "cps",
                    "Customers scored, by API.",
                    (
                        Query(
                            'sum by (api) (rate(churn_predictions_total{job="churn-service"}[$__rate_interval]))',
                            "{{api}}",
                        ),
                    ),
                ),
                Chart(
                    "Flagged",
                    "lines",
                    "percentunit",
                    "Share of the customers scored that reach the model's threshold. A jump is a change in who is "
                    "asked about, in the features, or in the model.",
                    (
                        Query(
                            f"({_scored('true')} or vector(0)) / {_scored('.*')}",
                            "flagged",
                        ),
                    ),
                    top=1,
                ),
                Chart(
                    "Customers in a request",
                    "lines",
                    "short",
                    "Mean, by API. A hundred in one request cost a few times what one costs. Beside it, how many "
                    "requests to predict came at the same moment and were scored together.",
                    (
                        Query(
                            'sum by (api) (rate(churn_batch_size_sum{job="churn-service"}[$__rate_interval]))'
                            ' / sum by (api) (rate(churn_batch_size_count{job="churn-service"}[$__rate_interval]))',
                            "{{api}}",
                        ),
                        Query(
                            'sum(rate(churn_requests_together_sum{job="churn-service"}[$__rate_interval]))'
                            ' / sum(rate(churn_requests_together_count{job="churn-service"}[$__rate_interval]))',
                            "requests together",
                        ),
                    ),
                ),
                Chart(
                    "Probabilities",
                    "shares",
                    "cps",
                    "Share of the customers by predicted probability, from the named one to 0.1 above. Stripes that "
                    "widen or narrow are drift of the predictions.",
                    (
                        Query(
                            'sum by (bin) (rate(churn_probability_total{job="churn-service"}[$__rate_interval]))',
                            "{{bin}}",
                        ),
                    ),
                    width=12,
                ),
                Chart(
                    "Problems in refused requests, a second",
                    "lines",
                    "cps",
                    "The ten most frequent, by field and reason: what a caller has to mend.",
                    (
                        Query(
                            "topk(10, sum by (field, reason) "
                            '(rate(churn_refused_fields_total{job="churn-service"}[$__rate_interval])))',
                            "{{field}}: {{reason}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Section(
            "Week by week (choose a longer time above)",
            (
                Chart(
                    "Predictions and customers",
                    "lines",
                    "short",
                    "Of the newest reported week. Less than half of the week before makes a ticket.",
                    (
                        Query("max(churn_report_predictions)", "predictions"),
                        Query("max(churn_report_customers)", "customers"),
                    ),
                    width=6,
                ),
                Chart(
                    "Flagged share",
                    "lines",
                    "percentunit",
                    "Of the week, beside the training reference. A change beyond chance pages.",
                    (Query("max by (population) (churn_report_flagged_share)", "{{population}}"),),
                    width=6,
                ),
                Chart(
                    "Mean probability",
                    "lines",
                    "percentunit",
                    "Of the week, beside the training reference.",
                    (Query("max by (population) (churn_report_mean_probability)", "{{population}}"),),
                    width=6,
                ),
                Chart(
                    "Stale features",
                    "lines",
                    "percentunit",
                    "Share of predictions whose features were more than two days old. Over 20 % makes a ticket.",
                    (Query("max(churn_report_stale_share)", "stale"),),
                    Limit(0.2),
                    width=6,
                ),
            ),
        ),
    ),
)

DRIFT: Final = Page(
    "churn-drift",
    "Churn: drift",
    "Whether the customers of a week still look like those the model was trained on; from the weekly report.",
    "180d",
    "15m",
    (
        Section(
            "The newest report",
            (
                Chart(
                    "Verdict",
                    "number",
                    "short",
                    "ok, drift, or too few customers to say. In an unchanged world at most one report in twenty says "
                    "drift.",
                    (Query("max by (verdict) (churn_report_verdict) == 1", "{{verdict}}"),),
                    width=4,
                    bad=("drift", "too few"),
                ),
                Chart(
                    "Worst severity",
                    "number",
                    "short",
                    "page, warning, or none.",
                    (Query("max by (severity) (churn_report_severity) == 1", "{{severity}}"),),
                    width=4,
                    bad=("page", "warning"),
                ),
                Chart(
                    "Features that drift",
                    "number",
                    "short",
                    "However little they matter to the model.",
                    (Query("sum(max by (feature) (churn_report_feature_drifted))", "features"),),
                    Limit(1),
                    width=4,
                ),
                Chart(
                    "Week",
                    "number",
                    "dateTimeAsIso",
                    "When the newest reported week ended (UTC).",
                    (Query("max(churn_report_week_end_timestamp_seconds) * 1000", "end"),),
                    width=4,
                ),
                Chart(
                    "Age of the report",
                    "number",
                    "s",
                    "Since a report was last made. Over 8 days makes a ticket: silence is not good news.",
                    (Query("time() - max(churn_report_last_success_timestamp_seconds)", "age"),),
                    Limit(8 * 86_400),
                    width=4,
                ),
                Chart(
                    "Lines that cannot be read",
                    "number",
                    "short",
                    "Of the prediction log, in the newest report; the report names the files.",
                    (Query("max(churn_report_unusable_lines)", "lines"),),
                    Limit(1),
                    width=4,
                ),
            ),
        ),
        Section(
            "Features",
            (
                Chart(
                    "Largest effects",
                    "bars",
                    "short",
                    "Size of the change as a multiple of what is let pass, the ten largest. From 1 on it is large "
                    "enough to matter; whether it is beyond chance too is the report's to say.",
                    (Query("topk(10, max by (feature) (churn_report_feature_effect))", "{{feature}}"),),
                    Limit(1),
                    width=12,
                ),
                Chart(
                    "Which drift",
                    "table",
                    "short",
                    "Features with a severity in the newest report.",
                    (Query("max by (feature) (churn_report_feature_drifted) == 1", "{{feature}}"),),
                    width=12,
                ),
            ),
        ),
        Section(
            "Over weeks",
            (
                Chart(
                    "Features by severity",
                    "lines",
                    "short",
                    "How many page, warn, or neither.",
                    (Query('max by (severity) (churn_report_features{severity=~"page|warning"})', "{{severity}}"),),
                    width=12,
                ),
                Chart(
                    "Effects of those that ever drifted",
                    "lines",
                    "short",
                    "As a multiple of what is let pass. A jump is sudden: something broke or was released. A slope is "
                    "gradual: retrain.",
                    (
                        Query(
                            "max by (feature) (churn_report_feature_effect) and on (feature) "
                            "(max by (feature) (max_over_time(churn_report_feature_drifted[$__range])) == 1)",
                            "{{feature}}",
                        ),
                    ),
                    Limit(1),
                    width=12,
                ),
            ),
        ),
    ),
)


def _performance(metric: str, title: str, description: str) -> Chart:
    return Chart(
        title,
        "lines",
        "percentunit",
        description,
        tuple(
            Query(
                f'max(churn_report_performance{{kind="{kind}", metric="{metric}", bound="{bound}"}})',
                f"{kind}{suffix}",
            )
            for kind in ("estimated", "realised")
            for bound, suffix in (("value", ""), ("low", ", at least"), ("high", ", at most"))
        ),
        width=12,
        top=1,
    )


def _since(kind: str) -> str:
    return f'time() - max(churn_report_performance_week_end_timestamp_seconds{{kind="{kind}"}})'


PERFORMANCE: Final = Page(
    "churn-performance",
    "Churn: performance",
    "How good the predictions are: estimated at once from their probabilities, realised when labels are known.",
    "365d",
    "15m",
    (
        Section(
            "What the figures are about",
            (
                Chart(
                    "Model",
                    "table",
                    "short",
                    "The headline's model of the newest report, and its week.",
                    (Query("max by (model, week) (churn_report_model_info)", "{{model}}"),),
                    width=12,
                ),
                Chart(
                    "Estimated: end of its week",
                    "number",
                    "s",
                    "How long ago the week ended that the newest estimate is about.",
                    (Query(_since("estimated"), "ago"),),
                    Limit(9 * 86_400),
                    width=6,
                ),
                Chart(
                    "Realised: end of its week",
                    "number",
                    "s",
                    "How long ago the week ended that the newest realised figures are about: some five weeks, since a "
                    "label needs 30 days.",
                    (Query(_since("realised"), "ago"),),
                    Limit(60 * 86_400),
                    width=6,
                ),
            ),
        ),
        Section(
            "Estimated and realised, with 95 % intervals",
            (
                _performance(
                    "auc",
                    "AUC",
                    "How often a customer who leaves is ranked above one who stays; 50 % is guessing. The estimate "
                    "cannot see that alike customers behave differently; realised below all of it makes a ticket.",
                ),
                _performance("f1", "F1", "Between precision and recall, at the model's threshold."),
                _performance("precision", "Precision", "Of those flagged, how many leave."),
                _performance("recall", "Recall", "Of those who leave, how many are flagged."),
            ),
        ),
        Section(
            "Whether a probability is one",
            (
                Chart(
                    "Calibration error, realised",
                    "lines",
                    "percentunit",
                    "How far predicted probabilities are from what happened, on average. Estimates rest on this being "
                    "small.",
                    (
                        Query(
                            'max by (bound) (churn_report_performance{kind="realised", metric="calibration_error"})',
                            "{{bound}}",
                        ),
                    ),
                    width=12,
                ),
                Chart(
                    "Brier score, realised",
                    "lines",
                    "short",
                    "Mean squared distance of the probability from what happened: lower is better.",
                    (
                        Query(
                            'max by (bound) (churn_report_performance{kind="realised", metric="brier"})',
                            "{{bound}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
    ),
)

PAGES: Final = (SERVICE, PREDICTIONS, DRIFT, PERFORMANCE)


def export(folder: Path) -> list[Path]:
    """Write every dashboard as `UID.json`; returns the files."""
    written = []
    for page in PAGES:
        path = folder / f"{page.uid}.json"
        replace_file(path, to_json(page).encode())
        written.append(path)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m monitoring.grafana.dashboards", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    for path in export(parser.parse_args().out):
        show(f"dashboard {path}")


if __name__ == "__main__":
    run(main)
