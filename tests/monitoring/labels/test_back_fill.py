"""Labels of a model, over the weeks in which its predictions were made."""

from churn.quality.figure import Figure
from monitoring.findings.performance import Metrics, RealisedPerformance
from monitoring.findings.summary import Summary
from monitoring.labels.back_fill import newest_realised, realised_by_week
from monitoring.labels.late_labels import LabelledWeek
from monitoring.reports.week import Week
from tests.support.summaries import WEEK, metric, performance, quiet, realised


def test_realised_performance_is_that_of_the_newest_labelled_week_of_the_model() -> None:
    def of(week: Week, model: str, value: float | None) -> Summary:
        found = realised(auc=metric(value)) if value else None
        counts = {"model": model, "predictions": 9, "customers": 9, "performance": performance(realised=found)}
        return quiet(week, models=[counts])

    earlier, later = WEEK.previous, Week(WEEK.end)
    summaries = {
        earlier.previous: of(earlier.previous, "churn:a", 0.5),
        earlier: of(earlier, "churn:a", 0.6),
        WEEK: of(WEEK, "churn:a", None),
        later: of(later, "churn:a", 0.9),
    }
    found = newest_realised(realised_by_week(summaries, {}, WEEK), "churn:a").auc
    assert found is not None
    assert found.value == 0.6
    judged = LabelledWeek(RealisedPerformance(metrics=Metrics(auc=Figure(0.7, 0.6, 0.8))), None)
    found = newest_realised(realised_by_week(summaries, {earlier: {"churn:a": judged}}, WEEK), "churn:a").auc
    assert found == Figure(0.7, 0.6, 0.8)
    assert newest_realised(realised_by_week(summaries, {}, WEEK), "churn:b").auc is None
