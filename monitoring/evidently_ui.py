"""`make monitor-ui`: the weeks of the report in Evidently's own pages, on this machine.

What Evidently drew of a week lies beside its page; here it becomes a run of a project in an
Evidently workspace, named after the week and dated to its end. The workspace is made to hold
exactly the weeks that have a report; dashboards that somebody added in the pages stay.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from churn.command import add_address, run, say, show
from churn.errors import ReportError
from monitoring.drift.decision import CHURN_PROBABILITY
from monitoring.findings.summary import ModelSummary
from monitoring.pages.evidently_report import snapshot_of
from monitoring.reports.report_folder import ReportFolder
from monitoring.reports.week import Week

PROJECT: Final = "Churn: weekly reports"


@dataclass(frozen=True)
class StoredPage:
    """One Evidently page of a week, as it can be drawn again."""

    week: Week
    path: Path
    model: ModelSummary

    @property
    def name(self) -> str:
        return f"{self.week} {self.model.model}"

    @property
    def facts(self) -> dict[str, str]:
        """The facts that Evidently shows beside a run."""
        shown = self.model.model_dump(include={"verdict", "severity", "model", "predictions", "customers"})
        return {name: str(value) for name, value in shown.items()}


def stored_pages(reports: ReportFolder) -> Iterator[StoredPage]:
    """Every page of every week that can be drawn again, the oldest first."""
    for week, summary in reports.summaries(say).items():
        for model in summary.models:
            if not model.page:
                continue
            path = reports.week(week) / snapshot_of(model.page)
            if path.exists():
                yield StoredPage(week, path, model)
            else:
                say(f"{week}: {path.name} is missing; make the report of this week again to see it")


def fill(workspace: Path, reports: ReportFolder) -> int:
    """Make the workspace hold these pages; returns how many they are.

    Raises:
        ReportError: there is none.
    """
    found = list(stored_pages(reports))
    if not found:
        raise ReportError(f"{reports.path} holds no report to show; make one (make report)")
    # Evidently takes seconds to import, and reads its settings when it is.
    from evidently.ui.workspace import Workspace  # noqa: PLC0415  # takes seconds, and --help needs none of it

    place = Workspace.create(str(workspace))
    projects = place.search_project(PROJECT)
    project = projects[0] if projects else _project(place)
    for earlier in place.list_runs(project.id):
        place.delete_run(project.id, earlier)
    for one in found:
        say(f"adding {one.name}")
        place.add_run(project.id, _snapshot(one), name=one.name)
    return len(found)


def _project(place: Any) -> Any:
    """A new project whose dashboard shows the course over the weeks."""
    from evidently.sdk.models import PanelMetric  # noqa: PLC0415  # as above
    from evidently.sdk.panels import line_plot_panel  # noqa: PLC0415  # takes seconds, and --help needs none of it

    project = place.create_project(PROJECT, "What was served, week by week, against what the model was trained on.")
    drifted = PanelMetric(metric="DriftedColumnsCount", metric_labels={"value_type": "count"}, legend="drifted")
    project.dashboard.add_panel(line_plot_panel("Columns that drifted", [drifted]))
    mean = PanelMetric(metric="MeanValue", metric_labels={"column": CHURN_PROBABILITY.name}, legend="mean")
    project.dashboard.add_panel(line_plot_panel("Predicted probability", [mean]))
    return project


def _snapshot(one: StoredPage) -> Any:
    from evidently.core.report import Snapshot  # noqa: PLC0415  # as above

    content = json.loads(gzip.decompress(one.path.read_bytes()))
    last = one.week.end - timedelta(seconds=1)
    content["timestamp"] = last.replace(tzinfo=None).isoformat()
    content["metadata"] = one.facts
    content["tags"] = [str(one.model.verdict)]
    return Snapshot.load_dict(content)


def main() -> None:
    arguments = _arguments()
    pages = fill(arguments.workspace, ReportFolder(arguments.reports))
    show(f"{pages} pages at http://{arguments.host}:{arguments.port} (Ctrl-C ends it)")
    from evidently.ui.service.app import run_local  # noqa: PLC0415  # as above

    run_local(host=arguments.host, port=arguments.port, workspace=str(arguments.workspace))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m monitoring.evidently_ui", description=__doc__)
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of the weekly reports")
    parser.add_argument("--workspace", type=Path, default=Path("data/evidently"), help="Evidently's folder")
    add_address(parser, 8000)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
