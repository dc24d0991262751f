"""Labels that arrive weeks after the predictions, from a newer event log, and how good the predictions then prove.

A label comes from the events alone, by the functions of training (`churn.activity.labels`), at the
`as_of` of the prediction; never from a prediction. What is not known yet is pending, not
0. All predictions count, also several of one customer, who is drawn as one.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ibis
import pandas as pd
import pyarrow as pa

from churn.activity.features import DAY_MS
from churn.activity.labels import Definition, LabelKind, labels_at
from churn.activity.reading import read_events
from churn.activity.typed import EventLog
from churn.command import say
from churn.contract import AT_RISK_DAYS, TREND_DAYS
from churn.errors import SettingError
from churn.moments import iso
from churn.prediction_log.listing import LogFile
from churn.quality.figure import Figure
from churn.raw_text import EXPONENT
from monitoring.findings.performance import (
    JudgedCustomers,
    Metrics,
    PendingLabels,
    RealisedPerformance,
)
from monitoring.labels.hold_out import HELD_OUT_SHARE
from monitoring.labels.treatments import HELD_OUT, read_treatments
from monitoring.performance.realised import REALISED, figures
from monitoring.prediction_log.log_files import Spool
from monitoring.prediction_log.log_lines import stage_answers
from monitoring.prediction_log.log_reader import first_day
from monitoring.reports.week import Week

FEW_CHURNERS: Final = 30
ROWS_ONE_BY_ONE: Final = 50_000
"""More rows than this are grouped before customers are drawn: equal probabilities, and customers by `GROUPS`."""

GROUPS: Final = 100
GRID: Final = 0.001

REVISION: Final = 2
"""Grows when figures of the same inputs come out otherwise, so that weeks that are done are done again."""

JUDGED: Final = "churned IS NOT NULL AND at_risk"
UNTREATED: Final = f"{JUDGED} AND NOT treated"
TREATED: Final = f"{JUDGED} AND treated"
UNJUDGED: Final = {
    "they are not in the log of events before their prediction": "churned IS NULL",
    f"they had cancelled and not come back, or not been seen for {AT_RISK_DAYS} days, before their prediction": (
        "churned IS NOT NULL AND NOT at_risk"
    ),
}
ONE_BY_ONE: Final = ("customer_id", "churn_probability", "{weight}", "")
ADDED_UP: Final = (
    f"hash(customer_id) % {GROUPS}",
    f"round(churn_probability / {GRID}) * {GRID}",
    "sum({weight})",
    "GROUP BY ALL",
)
"""SQL for the cluster, the probability, the number of rows, and the grouping."""

EVENLY: Final = "1"
FOR_THE_OFFERED: Final = f"CASE WHEN held_out THEN {1 / HELD_OUT_SHARE} ELSE 1 END"
"""SQL for how many rows one stands for: a customer who was held out also for those who got an offer."""

_TREATMENTS: Final = pa.schema([("customer_id", pa.string()), ("day", pa.int64()), ("group", pa.string())])


@dataclass(frozen=True)
class LabelSettings:
    """Where the labels come from. `label` and `horizon_days` replace what the models were trained to foresee.

    Raises:
        SettingError: a setting is out of its range, or of no use without `events`.
    """

    events: str | None = None
    treatments: Path | None = None
    label: LabelKind | None = None
    horizon_days: int | None = None

    def __post_init__(self) -> None:
        self.definition(Definition())
        if self.events is None and self.treatments is not None:
            raise SettingError("treatments", str(self.treatments), "a log of events beside it (--events)")

    def definition(self, own: Definition) -> Definition:
        """What a model is judged by; `own` is what it was trained to foresee."""
        kind = own.kind if self.label is None else self.label
        return Definition(kind, own.horizon_days if self.horizon_days is None else self.horizon_days)


@dataclass(frozen=True)
class LabelledWeek:
    """What is known of one model's week by now.

    `to_plot`: some of the customers with a label, by the newest prediction of each:
    `churned`, `churn_probability`, `will_churn`; nobody's id.
    """

    realised: RealisedPerformance | None
    pending: PendingLabels | None
    to_plot: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)


class LateLabels:
    """A log of events beside the prediction log. Valid as long as `opened` holds it open."""

    def __init__(self, backend: Any, log: EventLog, treatments: pd.DataFrame | None, settings: LabelSettings) -> None:
        self._backend = backend
        self._log = log
        self._settings = settings
        self._treatments = treatments
        self._labelled: tuple[Week, Definition] | None = None
        listed = (
            _TREATMENTS.empty_table()
            if treatments is None
            else pa.Table.from_pandas(treatments, _TREATMENTS, preserve_index=False)
        )
        backend.con.register("listed", listed)
        backend.con.execute("CREATE TABLE treatments AS FROM listed")
        backend.con.unregister("listed")

    @property
    def log_end(self) -> int:
        """The newest moment of the log of events, UTC epoch milliseconds."""
        return self._log.log_end

    def definition(self, own: Definition) -> Definition:
        """What a model is judged by; `own` is what it was trained to foresee."""
        return self._settings.definition(own)

    def inputs(self, own: Definition) -> str:
        """A text that changes with what realised figures are computed from, the closed horizon of the log aside."""
        definition = self.definition(own)
        listed = None if self._treatments is None else self._treatments.to_csv(index=False)
        about = json.dumps([REVISION, definition.kind, definition.horizon_days, listed])
        return hashlib.sha256(about.encode()).hexdigest()[:16]

    def has_begun(self, week: Week, own: Definition) -> bool:
        """Whether the first predictions of a week can be judged."""
        return week.start_ms + self.definition(own).horizon_ms <= self.log_end

    def stage(self, files: Sequence[LogFile], weeks: Sequence[Week], spool: Spool) -> None:
        """Read the predictions of these weeks; `labelled` answers about them."""
        first = min(first_day(week) for week in weeks)
        stage_answers(self._backend.con, [file for file in files if file.day >= first], weeks, spool)

    def predictions(self, week: Week, model: str) -> int:
        """How many a model made in a staged week."""
        sql = "SELECT count(*) FROM answers WHERE model = ? AND as_of BETWEEN ? AND ?"
        return int(self._execute(sql, [model, week.start_ms, week.end_ms - 1])[0][0])

    def labelled(self, week: Week, model: str, own: Definition, seed: int = 0, to_plot: int = 0) -> LabelledWeek:
        """A model's predictions of a staged week, judged as far as they can be.

        Args:
            week: whose predictions.
            model: the tag that made them.
            own: what it was trained to foresee.
            seed: of the intervals and of the customers to plot.
            to_plot: as many customers at most.
        """
        definition = self.definition(own)
        self._label(week, definition)
        self._join(week, model, definition)
        pending = self._pending(week, model, definition)
        if not self._one("SELECT count(*) FROM outcomes"):
            return LabelledWeek(None, pending)
        everyone, treated = self._part(JUDGED, seed), self._part(TREATED, seed)
        untreated = self._part(UNTREATED, seed, FOR_THE_OFFERED)
        realised = RealisedPerformance(
            customers=everyone.customers,
            rows=everyone.rows,
            churners=everyone.churners,
            metrics=everyone.metrics,
            labels_until=iso(self.log_end),
            definition=definition.kind,
            horizon_days=definition.horizon_days,
            untreated=None if self._treatments is None else untreated,
            treated=None if self._treatments is None else treated,
            notes=tuple(self._notes(everyone, treated, own, definition)),
            inputs=self.inputs(own),
        )
        return LabelledWeek(realised, pending, self._to_plot(seed, to_plot))

    def _label(self, week: Week, definition: Definition) -> None:
        """The table `labelled`: what became of each customer after each `as_of` of a week."""
        if self._labelled == (week, definition):
            return
        self._execute(
            "CREATE OR REPLACE TABLE moments AS SELECT DISTINCT customer_id, as_of FROM answers "
            "WHERE as_of BETWEEN ? AND ?",
            [week.start_ms, week.end_ms - 1],
        )
        found = labels_at(self._log.events, self._backend.table("moments"), self.log_end, definition)
        self._execute(f"CREATE OR REPLACE TABLE labelled AS {self._backend.compile(found)}")
        self._labelled = (week, definition)

    def _join(self, week: Week, model: str, definition: Definition) -> None:
        """The table `outcomes`: the predictions whose horizon has passed; without a label `churned` is null.

        A group lasts a whole horizon, so it also covers predictions made after its day.
        """
        about = f"""FROM treatments AS t WHERE t.customer_id = a.customer_id
            AND t.day + CASE WHEN t."group" IS NULL THEN 0 ELSE {definition.horizon_days} END >= a.as_of // {DAY_MS}
            AND t.day <= (a.as_of + $horizon) // {DAY_MS}"""
        self._execute(
            f"""CREATE OR REPLACE TABLE outcomes AS
                SELECT a.customer_id, a.as_of, a.churn_probability, a.will_churn, l.churned, l.at_risk,
                       EXISTS ({about} AND t."group" IS DISTINCT FROM '{HELD_OUT}') AS treated,
                       EXISTS ({about} AND t."group" = '{HELD_OUT}') AS held_out
                FROM answers AS a LEFT JOIN labelled AS l ON a.customer_id = l.customer_id AND a.as_of = l.as_of
                WHERE a.model = $model AND a.as_of BETWEEN $first AND $last AND a.as_of + $horizon <= $log_end""",  # noqa: S608  # a constant
            self._about(week, model, definition),
        )

    def _pending(self, week: Week, model: str, definition: Definition) -> PendingLabels | None:
        ((customers, last),) = self._execute(
            "SELECT count(DISTINCT customer_id), max(as_of) FROM answers "
            "WHERE model = $model AND as_of BETWEEN $first AND $last AND as_of + $horizon > $log_end",
            self._about(week, model, definition),
        )
        if not customers:
            return None
        return PendingLabels(customers=customers, known_after=iso(last + definition.horizon_ms))

    def _about(self, week: Week, model: str, definition: Definition) -> dict[str, Any]:
        return {
            "model": model,
            "first": week.start_ms,
            "last": week.end_ms - 1,
            "horizon": definition.horizon_ms,
            "log_end": self.log_end,
        }

    def _part(self, which: str, seed: int, weight: str = EVENLY) -> JudgedCustomers:
        ((customers, rows, churners),) = self._execute(
            "SELECT count(DISTINCT customer_id), count(*), count(DISTINCT customer_id) FILTER (churned = 1) "  # noqa: S608  # a constant
            f"FROM outcomes WHERE {which}"
        )
        if not rows:
            undefined = Metrics(**dict.fromkeys(REALISED, Figure(math.nan)))
            return JudgedCustomers(customers=0, rows=0, churners=0, metrics=undefined)
        metrics = Metrics(**figures(self._rows(which, rows, weight), seed))
        return JudgedCustomers(customers=customers, rows=rows, churners=churners, metrics=metrics)

    def _rows(self, which: str, rows: int, weight: str) -> pd.DataFrame:
        """What `figures` takes: row by row, or equal rows of groups of customers added up."""
        cluster, probability, count, grouped = ONE_BY_ONE if rows <= ROWS_ONE_BY_ONE else ADDED_UP
        frame: pd.DataFrame = self._backend.con.execute(
            f"SELECT {cluster} AS cluster, {probability} AS probability, will_churn AS flagged, churned, "  # noqa: S608  # constants
            f"{count.format(weight=weight)} AS rows FROM outcomes WHERE {which} {grouped} ORDER BY ALL"
        ).df()
        return frame

    def _to_plot(self, seed: int, limit: int) -> pd.DataFrame:
        frame: pd.DataFrame = self._backend.con.execute(
            "SELECT arg_max(churned, as_of) AS churned, arg_max(churn_probability, as_of) AS churn_probability, "  # noqa: S608  # constants
            f"arg_max(will_churn, as_of) AS will_churn FROM outcomes WHERE {JUDGED} "
            "GROUP BY customer_id ORDER BY hash(customer_id, ?::BIGINT), customer_id LIMIT ?",
            [seed, limit],
        ).df()
        return frame

    def _notes(
        self, everyone: JudgedCustomers, treated: JudgedCustomers, own: Definition, definition: Definition
    ) -> Iterator[str]:
        if definition != own:
            yield (
                f"judged by {definition.kind} within {definition.horizon_days} days; the model was trained to foresee "
                f"{own.kind} within {own.horizon_days} days"
            )
        yield from self._missing()
        yield from self._strangers()
        yield from self._doubts()
        if everyone.churners < FEW_CHURNERS:
            yield f"only {everyone.churners} customers churned: too few to conclude anything from these figures"
        if treated.customers:
            yield (
                f"{treated.customers:,} customers got an offer: where it works, the model looks wrong; the untreated "
                "are the ones to judge it by"
            )
        yield from self._held_out()

    def _held_out(self) -> Iterator[str]:
        held_out = self._one(f"SELECT count(DISTINCT customer_id) FROM outcomes WHERE {UNTREATED} AND held_out")  # noqa: S608  # a constant
        if held_out:
            yield (
                f"{held_out:,} customers were held out and count {1 / HELD_OUT_SHARE:.1f} times among the untreated, "
                "also for those who got an offer"
            )

    def _missing(self) -> Iterator[str]:
        """Predictions without a label, and without a customer to keep."""
        for why, which in UNJUDGED.items():
            ((customers, rows),) = self._execute(
                f"SELECT count(DISTINCT customer_id), count(*) FROM outcomes WHERE {which}"  # noqa: S608  # a constant
            )
            if customers:
                yield f"{customers:,} customers ({rows:,} predictions) are not judged: {why}"

    def _strangers(self) -> Iterator[str]:
        """Treatments of nobody: such a customer counts as untreated, if there is one."""
        everyone = self._backend.compile(self._log.events.select("customer_id"))
        ((strangers, all_listed, with_exponent),) = self._execute(
            "WITH listed AS (SELECT customer_id, customer_id NOT IN "  # noqa: S608  # the query for the events, and a constant
            f"(FROM ({everyone}) UNION SELECT customer_id FROM answers) AS stranger FROM treatments) "
            "SELECT count(*) FILTER (stranger), count(*), "
            f"count(*) FILTER (stranger AND regexp_full_match(customer_id, '{EXPONENT}')) FROM listed"
        )
        if strangers:
            exponents = f"; ids with an exponent, as 1.1E7 has: {with_exponent:,}" if with_exponent else ""
            yield (
                f"{strangers:,} of {all_listed:,} treatments match nobody: their customer_id is neither in the log of "
                f"events nor among the predictions{exponents}"
            )

    def _doubts(self) -> Iterator[str]:
        """What makes the labels themselves doubtful."""
        report = self._log.report
        history = (self._one("SELECT min(as_of) FROM outcomes") - report.first_ts) / DAY_MS
        if history < TREND_DAYS:
            yield (
                f"the log of events begins {max(history, 0):.1f} days before the first prediction: what customers did "
                "before is not known, and some labels may be missing or wrong"
            )
        if report.after_gap:
            yield (
                f"{report.after_gap:,} rows of events come long after all others and set the end of the log: if their "
                "clock was wrong, labels were read too early"
            )

    def _execute(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._backend.con.execute(sql, values).fetchall()
        return rows

    def _one(self, sql: str) -> Any:
        return self._execute(sql)[0][0]


@contextmanager
def opened(settings: LabelSettings, spool: Path) -> Iterator[LateLabels]:
    """Read the log of events and the treatments.

    Raises:
        EventLogError: the log cannot be read.
        TreatmentsError: the treatments cannot.
    """
    assert settings.events is not None
    treatments = None if settings.treatments is None else read_treatments(settings.treatments)
    backend = ibis.duckdb.connect(str(spool / "labels.duckdb"), temp_directory=str(spool / "labels.spill"))
    try:
        say(f"labels: reading {settings.events}")
        log = read_events(settings.events, backend, say)
        yield LateLabels(backend, log, treatments, settings)
    finally:
        backend.disconnect()
