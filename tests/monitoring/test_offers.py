"""`make offers` and `make offers-effect`, from the lists of two weeks to what the offers did."""

import csv
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from churn.activity.features import DAY_MS
from churn.errors import ChurnError, ReportError, SettingError, TreatmentsError
from monitoring import offers
from monitoring.labels.hold_out import group_of
from monitoring.reports.report_folder import AT_RISK, SUMMARY, ReportFolder
from monitoring.reports.week import Week
from monitoring.weekly.at_risk import AtRisk, table
from tests.support.raw_logs import LOGGED_OUT, json_lines, raw
from tests.support.summaries import quiet, weeks

FIRST, SECOND = weeks(2)
LISTED = 3_000
Command = Callable[..., str]


@pytest.fixture
def reports(tmp_path: Path) -> ReportFolder:
    """Two weeks with lists; the second has most customers of the first."""
    folder = ReportFolder(tmp_path / "reports")
    for number, week in enumerate((FIRST, SECOND)):
        customers = [AtRisk(str(1000 * number + one), 0.4, ("why",)) for one in range(LISTED)]
        folder.path.mkdir(exist_ok=True)
        folder.replace_week(week, {SUMMARY: quiet(week).to_bytes(), AT_RISK: table(customers)})
    return folder


@pytest.fixture
def command(
    reports: ReportFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    def call(action: str, *options: str) -> str:
        places = ["--reports", str(reports.path), "--file", str(tmp_path / "offers.csv")]
        monkeypatch.setattr("sys.argv", ["offers", action, *places, *options])
        offers.main()
        return capsys.readouterr().out

    return call


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(newline="")))


def events(path: Path, listed: list[dict[str, str]], until: Week, kept: float) -> Path:
    """Everybody is there before the lists; 40 of 100 of those who were held out cancel, fewer of the others."""
    generator = np.random.default_rng(1)
    lines = [{**LOGGED_OUT, "ts": until.end_ms}]
    for one in listed:
        leaves = generator.random() < 0.4 * (1 if one["group"] == "held_out" else 1 - kept)
        page, ts = ("Cancellation Confirmation", SECOND.end_ms + DAY_MS) if leaves else ("Home", until.end_ms - DAY_MS)
        lines += [
            raw(userId=one["customer_id"], ts=FIRST.start_ms - DAY_MS),
            raw(userId=one["customer_id"], ts=ts, page=page),
        ]
    path.write_text(json_lines(lines))
    return path


def test_a_campaign_grows_by_new_customers_only_and_is_the_owners_alone(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "offers.csv"
    said = command("assign", "--week", str(FIRST))
    first = path.read_bytes()
    groups = Counter(one["group"] for one in rows(path))
    assert said == (
        f"week {FIRST}: 3,000 customers at risk; {groups['offered']:,} get an offer, {groups['held_out']} are held "
        f"out, 0 are in the campaign already\noffers: {path}\n"
    )
    assert all(one["group"] == group_of(one["customer_id"], 7) for one in rows(path))
    assert {one["date"] for one in rows(path)} == {"2018-10-28"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "3,000 are in the campaign already" in command("assign", "--week", str(FIRST))
    assert path.read_bytes() == first
    assert "2,000 are in the campaign already" in command("assign", "--date", "2018-11-06")
    assert path.read_bytes().startswith(first)
    assert [one["date"] for one in rows(path)][LISTED:] == ["2018-11-06"] * 1000


def test_what_the_offers_did(command: Command, tmp_path: Path) -> None:
    command("assign", "--week", str(FIRST))
    command("assign")
    listed = rows(tmp_path / "offers.csv")
    log = events(tmp_path / "events.json", listed, Week.parse("2018-W50"), kept=0.3)
    said = command("effect", "--events", str(log), "--offer-cost", "5", "--kept-value", "100").splitlines()
    assert said[0] == "4,000 customers; 0 are within their horizon, 0 had left before"
    held_out = sum(one["group"] == "held_out" for one in listed)
    assert said[1].split(" of ")[1].startswith(f"{4000 - held_out:,} left")
    assert said[2].split(" of ")[1].startswith(f"{held_out} left")
    assert said[3].startswith("kept by the offer, of the offered: 0.1")
    assert said[4].startswith("the offer keeps customers; offers for one kept: ")
    assert said[5].startswith("profit of the offers: ")


def test_below_the_size_it_says_from_which_week_on_it_can_be_told(command: Command, tmp_path: Path) -> None:
    command("assign", "--week", str(FIRST))
    listed = rows(tmp_path / "offers.csv")
    log = events(tmp_path / "events.json", listed, SECOND, kept=0.3)
    said = command("effect", "--events", str(log)).splitlines()
    assert said[0] == "3,000 customers; 3,000 are within their horizon, 0 had left before"
    assert said[-1].startswith("cannot be told before week 2018-W48: ")  # the list of 28 October and 30 days
    assert "among 2,180 customers; 0 are known" in said[-1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("99999,2018-10-28,offered", "line 3: customer_id: found 'an id that is on no list'"),
        ("7,2018-10-27,offered", "line 3: date: found '2018-10-27', expected 2018-10-28 or later"),
        ("7,2018-10-28,control", "line 3: group: found 'control', expected offered or held_out"),
        ("6,2018-10-29,held_out", "line 3: group: found 'held_out', expected offered, the customer's group in line 2"),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_stays_as_it_is(
    command: Command, tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "offers.csv"
    path.write_text(f"customer_id,date,group\n6,2018-10-28,offered\n{line}\n")
    before = path.read_bytes()
    log = events(tmp_path / "events.json", rows(path)[:1], SECOND, kept=0)
    for action in (["assign"], ["effect", "--events", str(log)]):
        with pytest.raises(TreatmentsError) as caught:
            command(*action)
        assert str(caught.value).startswith(f"{path}: {message}")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (["assign", "--week", "2018-W01"], ReportError, "has no at_risk.csv of week 2018-W01"),
        (["assign", "--date", "2018-11-01"], SettingError, "2018-11-04 or later, which is the date of the list"),
        (["assign", "--date", "soon"], SettingError, "DATE='soon': expected a date such as 2018-11-05"),
        (["assign", "--horizon-days", "0"], SettingError, "horizon_days=0"),
        (["effect"], SettingError, "EVENTS=None: expected a log of events"),
        (["effect", "--events", "none.json"], TreatmentsError, "No such file"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_a_sentence(
    command: Command, tmp_path: Path, options: list[str], kind: type[ChurnError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        command(*options)
    assert not (tmp_path / "offers.csv").exists()
