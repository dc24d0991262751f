"""`make docs`: the fields of `summary.json` in the documentation, from the types that read and write it."""

from pathlib import Path
from typing import Final

from pydantic import BaseModel

from churn.command import run
from monitoring.findings.alarm import Condition
from monitoring.findings.drift import Measure, Segment
from monitoring.findings.performance import (
    EstimatedPerformance,
    JudgedCustomers,
    Metrics,
    PendingLabels,
    Performance,
    RealisedPerformance,
)
from monitoring.findings.summary import (
    AtRiskCounts,
    BeforeAndNow,
    FeatureSummary,
    LogSummary,
    ModelSummary,
    RankedFeature,
    Reference,
    Stale,
    Summary,
    UnusableFile,
    Volume,
)
from scripts import schema_tables

PAGE: Final = Path(__file__).parent.parent / "docs" / "summary.md"
PARTS: Final[tuple[type[BaseModel], ...]] = (
    Summary, Condition, ModelSummary, Stale, Reference, BeforeAndNow, Volume, FeatureSummary, Measure, RankedFeature,
    Segment, Performance, EstimatedPerformance, RealisedPerformance, JudgedCustomers, PendingLabels, Metrics,
    AtRiskCounts, LogSummary, UnusableFile,
)  # fmt: skip
HEAD: Final = """# `summary.json`

Made from `monitoring/findings/` by `make docs`. Every week has one, `reports/YYYY-Www/summary.json`, with the
findings of its report, for schedulers, pages and messages; it holds no customer ids. Moments are ISO 8601 in UTC. A
number that is not finite is null. A measure is an object of `value`, `low` and `high` (its 95 % interval), all null
where it is not defined.

New fields may come; `schema` grows when a field changes its meaning or goes. A field that does not apply is absent. A
file that is damaged, or of another schema, is refused with its name and field, and its week shown as one without a
report.
"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    return schema_tables.page(HEAD, PARTS)


def main() -> None:
    schema_tables.write(PAGE, HEAD, PARTS)


if __name__ == "__main__":
    run(main)
