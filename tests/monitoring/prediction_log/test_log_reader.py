"""The prediction log, read back: every line accounted for, one row per customer, nothing but the week asked for."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import CONTRACT_VERSION, FEATURES, NAMES, example_customer
from churn.errors import PredictionLogError, SettingError
from churn.prediction_log.line import SCHEMA
from monitoring.drift.column_summary import Population, rounding_step, summarise_frame
from monitoring.drift.decision import CHURN_PROBABILITY, MONITORED, WILL_CHURN
from monitoring.prediction_log import log_files
from monitoring.prediction_log.log_lines import FileCounts, last_line_if_partial, total
from monitoring.prediction_log.log_reader import read_week
from monitoring.reports.week import Week
from tests.support.examples import examples
from tests.support.log_contents import read
from tests.support.predictions import THURSDAY, log_predictions, week_of_customers

WEEK = Week.parse("2018-W44")
MODEL = "churn:test"
NOBODY = Population(0, {})
DAY_MS = 86_400_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "it's [a] folder*"


def line(**changes: Any) -> dict[str, Any]:
    features = {name: example_customer()[name] for name in NAMES}
    whole = {
        "schema": SCHEMA,
        "request_id": "r",
        "api": "predict",
        "time": "2018-11-02T09:00:00.000Z",
        "model": MODEL,
        "contract": CONTRACT_VERSION,
        "row": 0,
        "as_of": "2018-11-01T00:00:00Z",
        "customer_id": "1",
        "features": features,
        "churn_probability": 0.25,
        "will_churn": False,
        "source": "features",
        "generation": None,
    }
    return whole | changes


def write(folder: Path, content: bytes, number: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"2018-11-02_host_1_1_{number}.jsonl"
    path.write_bytes(content)
    return path


def lines(*found: dict[str, Any]) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in found)


def probabilities(rows: pd.DataFrame, seed: int = 0) -> list[float]:
    return [float(p) for p in np.random.default_rng(seed).beta(2, 6, len(rows))]


def test_what_was_logged_is_summarised_as_the_frame_it_came_from(folder: Path) -> None:
    rows = week_of_customers(400)
    probability = probabilities(rows)
    log_predictions(folder, rows, probability)
    frame = rows.assign(churn_probability=probability, will_churn=np.array(probability) >= 0.5)
    reference = summarise_frame(
        week_of_customers(300, seed=2).assign(churn_probability=0.3, will_churn=False), MONITORED
    )
    expected = summarise_frame(frame, MONITORED)

    with read_week(folder) as week:
        found = week.population(MODEL, reference)

    assert found.rows == 400
    assert list(found.columns) == [feature.name for feature in MONITORED]
    for name, column in expected.columns.items():
        rounded = column.rounded(rounding_step(reference.columns[name]))
        np.testing.assert_array_equal(found.columns[name].numbers, rounded.numbers, err_msg=name)
        np.testing.assert_array_equal(found.columns[name].counts, rounded.counts, err_msg=name)
        assert found.columns[name].labels == rounded.labels
        assert (found.columns[name].nulls, found.columns[name].mistyped) == (rounded.nulls, 0)
        assert found.columns[name].outside == column.outside


def test_a_value_rounded_past_a_bound_is_not_outside_the_contract(folder: Path) -> None:
    # With the reference's step of 0.3 the greatest trend, 4, becomes 3.9, and 4.0 of 0.7 becomes 4.2.
    rows = week_of_customers(50).assign(songs_trend=4.0)
    log_predictions(folder, rows, [0.1] * 50)
    reference = summarise_frame(pd.DataFrame({"songs_trend": [0.0, 1400.0]}), MONITORED)
    assert rounding_step(reference.columns["songs_trend"]) == pytest.approx(0.7)

    with read_week(folder) as week:
        found = week.population(MODEL, reference).columns["songs_trend"]

    assert found.numbers.tolist() == pytest.approx([4.2])
    assert found.outside == 0


def test_a_customer_counts_once_by_the_newest_row(folder: Path) -> None:
    rows = week_of_customers(3)
    older, newer = rows.assign(as_of=THURSDAY - DAY_MS, songs_7d=1), rows.iloc[:2].assign(songs_7d=2)
    log_predictions(folder, newer, [0.2, 0.9])
    log_predictions(folder, older, [0.1, 0.1, 0.1], scored=datetime(2018, 11, 4, tzinfo=UTC))
    again = newer.iloc[:1].assign(songs_7d=3)
    log_predictions(folder, again, [0.6], scored=datetime(2018, 11, 3, tzinfo=UTC))

    with read_week(folder) as week:
        (model,) = week.models
        songs = week.population(MODEL, NOBODY).columns["songs_7d"]
        at_risk = week.at_risk(MODEL, None)

    assert (model.predictions, model.customers) == (6, 3)
    assert dict(zip(songs.numbers.tolist(), songs.counts.tolist(), strict=True)) == {1: 1, 2: 1, 3: 1}
    assert at_risk["churn_probability"].tolist() == [0.9, 0.6]
    assert at_risk["customer_id"].tolist() == [rows.customer_id[1], rows.customer_id[0]]


def test_each_model_has_its_own_customers_and_the_list_takes_the_newest_answer(folder: Path) -> None:
    rows = week_of_customers(4)
    log_predictions(folder, rows, [0.9] * 4, model="churn:old")
    log_predictions(folder, rows.iloc[:3], [0.1, 0.8, 0.7], model="churn:new", scored=datetime(2018, 11, 3, tzinfo=UTC))

    with read_week(folder) as week:
        assert [(model.model, model.customers) for model in week.models] == [("churn:old", 4), ("churn:new", 3)]
        assert week.population("churn:old", NOBODY).rows == 4
        assert week.at_risk("churn:old", None)["churn_probability"].tolist() == [0.9]
        assert week.at_risk("churn:new", None)["churn_probability"].tolist() == [0.8, 0.7]
        assert week.at_risk("churn:new", 1)["churn_probability"].tolist() == [0.8]
        assert week.flagged() == 3


def test_every_line_is_counted_by_what_it_is(folder: Path) -> None:
    write(
        folder,
        lines(
            line(),
            line(api="explain", row=1),
            line(as_of="2018-11-05T00:00:00Z", row=2),
            line(as_of="2018-10-28T23:59:59.999Z", row=3),
            line(contract="1-00000000", row=4),
            line(schema=3, row=5),
            line(as_of="yesterday", row=6),
            {"schema": SCHEMA, "erased": True},
            {"another": "log"},
        )
        + b"not JSON\n[1, 2]\n\xff\xfe\n"
        + b'{"schema":1,"request_id":"r',
    )
    write(folder, lines(line(customer_id="2")), number=2)

    with read_week(folder, WEEK) as week:
        first, second = week.counts

    assert first == FileCounts(
        "2018-11-02_host_1_1_1.jsonl",
        predictions=1,
        explained=1,
        elsewhen=2,
        partial=1,
        foreign=6,
        erased=1,
        other_contract=1,
    )
    assert first.sentence() == "2018-11-02_host_1_1_1.jsonl: 1 truncated, 6 foreign"
    assert (second.predictions, second.unusable) == (1, 0)
    assert total([first, second]).lines == 14


def test_a_last_line_without_its_end_takes_no_earlier_line_of_the_same_request_id_with_it(folder: Path) -> None:
    earlier = line(time="2018-11-02T08:00:00.000Z")
    write(
        folder, lines(earlier, line(customer_id="2", row=1), line(time="2018-11-02T09:30:00.000Z")).removesuffix(b"\n")
    )
    with read_week(folder) as week:
        assert (week.counts[0].predictions, week.counts[0].partial) == (2, 1)


def test_a_last_line_without_its_end_was_not_acknowledged_and_does_not_count(folder: Path) -> None:
    write(folder, lines(line(), line(customer_id="2", row=1)).removesuffix(b"\n"))
    with read_week(folder) as week:
        assert (week.counts[0].predictions, week.counts[0].partial) == (1, 1)
        assert week.models[0].customers == 1


@given(st.binary(max_size=200))
def test_the_partial_last_line_is_what_follows_the_last_line_end(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.mktemp("tail") / "file"
    path.write_bytes(content)
    assert last_line_if_partial(path) == (content.rpartition(b"\n")[2] or None)


SOME_LINES = st.lists(
    st.one_of(
        st.builds(lambda row: orjson.dumps(line(row=row, customer_id=str(row))), st.integers(0, 5)),
        st.builds(lambda row: orjson.dumps(line(api="explain", row=row)), st.integers(0, 5)),
        st.sampled_from(
            [b'{"schema":1,"erased":true   }', b'{"schema":3}', b"null", b"17", b'"text"', b"[", b"\xc3\x28"]
        ),
        st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1).filter(str.strip).map(str.encode),
    ),
    max_size=32,
)


@examples(15)
@given(SOME_LINES, st.integers(0, 60))
def test_it_counts_what_reading_line_by_line_counts(tmp_path_factory: Any, found: list[bytes], cut: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    content = lines(line(request_id="always")) + b"".join(one + b"\n" for one in found)
    whole = orjson.dumps(line(request_id="last"))
    path = write(folder, content + whole[:cut])
    expected = read(path)

    with read_week(folder) as week:
        (counts,) = week.counts

    apis = [one["api"] for one in expected.lines]
    assert (counts.predictions, counts.explained) == (apis.count("predict"), apis.count("explain"))
    assert (counts.partial, counts.foreign, counts.erased) == (expected.partial, expected.foreign, expected.erased)


def test_a_value_of_another_type_is_told_from_a_missing_one(folder: Path) -> None:
    features = line()["features"]
    altered = [
        features | {"songs_7d": "12", "os": 5},
        features | {"songs_7d": 1.5, "os": None, "tenure_days": None},
        features | {"songs_7d": True, "tenure_days": "NaN"},
        {name: value for name, value in features.items() if name != "songs_7d"},
    ]
    write(folder, lines(*(line(features=one, row=row, customer_id=str(row)) for row, one in enumerate(altered))))

    with read_week(folder) as week:
        columns = week.population(MODEL, NOBODY).columns

    def figures(name: str) -> tuple[int, int, int]:
        return columns[name].mistyped, columns[name].nulls, columns[name].valid

    assert figures("songs_7d") == (3, 1, 0)
    assert figures("os") == (1, 1, 2)
    assert figures("tenure_days") == (1, 1, 2)
    assert figures("level") == (0, 0, 4)


def test_values_beyond_the_contract_are_counted(folder: Path) -> None:
    features = line()["features"]
    altered = [features | {"active_days_7d": 8, "level": "gold"}, features]
    write(folder, lines(*(line(features=one, row=row, customer_id=str(row)) for row, one in enumerate(altered))))
    with read_week(folder) as week:
        columns = week.population(MODEL, NOBODY).columns
    assert {name for name, column in columns.items() if column.outside} == {"active_days_7d", "level"}
    assert columns["level"].labels == ("gold", "paid")


def test_a_line_too_long_for_any_reader_is_foreign_and_hides_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LONGEST_LINE", 100_000)
    endless = b'{"schema":1,"x":"' + b"x" * (17 * 1024 * 1024) + b'"}\n'
    write(folder, lines(line()) + endless + endless * 2 + lines(line(row=1, customer_id="2")) + b'{"half')
    with read_week(folder) as week:
        counts = week.counts[0]
        assert (counts.predictions, counts.foreign, counts.partial) == (2, 3, 1)


def test_a_week_is_monday_to_sunday_in_utc(folder: Path) -> None:
    moments = ["2018-10-28T23:59:59.999Z", "2018-10-29T00:00:00Z", "2018-11-04T23:59:59.999Z", "2018-11-05T00:00:00Z"]
    write(folder, lines(*(line(as_of=moment, row=row, customer_id=moment) for row, moment in enumerate(moments))))
    with read_week(folder, WEEK) as week:
        (model,) = week.models
    assert (model.first_as_of, model.last_as_of) == (WEEK.start_ms, WEEK.end_ms - 1)
    assert (model.customers, week.counts[0].elsewhen) == (2, 2)


def test_without_a_week_it_is_the_newest_that_was_predicted_whenever_that_was_done(folder: Path) -> None:
    rows = week_of_customers(2)
    log_predictions(folder, rows, [0.1, 0.2], scored=datetime(2026, 1, 1, tzinfo=UTC))
    log_predictions(
        folder, rows.assign(as_of=THURSDAY - 14 * DAY_MS), [0.1, 0.2], scored=datetime(2026, 3, 1, tzinfo=UTC)
    )
    with read_week(folder) as week:
        assert str(week.week) == "2018-W44"


@pytest.mark.parametrize("name", ["2018-W54", "2018-W00", "2018W44", "2018-W4", "0000-W01", "", "now"])
def test_a_week_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="an ISO week such as 2018-W44"):
        Week.parse(name)


def test_weeks_are_named_as_iso_does_at_the_turn_of_a_year() -> None:
    assert str(Week.of(int(datetime(2018, 12, 31, tzinfo=UTC).timestamp() * 1000))) == "2019-W01"
    assert str(Week.parse("2021-W01").previous) == "2020-W53"


def test_no_log_is_said_to_be_none(folder: Path) -> None:
    with pytest.raises(PredictionLogError, match="no predictions are logged in"), read_week(folder):
        pass


def test_a_week_without_predictions_is_an_error(folder: Path) -> None:
    write(folder, lines(line(), line(api="explain", as_of="2018-11-06T00:00:00Z", row=1)))
    with (
        pytest.raises(PredictionLogError, match=r"no predictions for week 2018-W45"),
        read_week(folder, Week(WEEK.end)),
    ):
        pass


def test_lines_of_an_earlier_contract_count_for_all_but_their_features(folder: Path) -> None:
    old = {"contract": "1-00000000", "model": "churn:old", "features": {"gone": 1}, "schema": 1}
    earlier = [line(row=row, customer_id=str(row), will_churn=row < 2, **old) for row in range(4)]
    for one in earlier:
        del one["source"], one["generation"]
    write(folder, lines(*earlier, line(row=9, customer_id="9")))
    with read_week(folder) as week:
        (counts,) = week.counts
        assert (counts.other_contract, counts.predictions, counts.answered, counts.unusable) == (4, 1, 5, 0)
        assert [(model.model, model.predictions) for model in week.models] == [("churn:old", 4), (MODEL, 1)]
        assert (week.customers(), week.flagged()) == (5, 2)
        answers = week.answers("churn:old")
        assert answers.customers.tolist() == [2, 2]


def test_a_log_that_is_all_of_an_earlier_contract_has_a_newest_week_too(folder: Path) -> None:
    write(folder, lines(line(contract="1-00000000")))
    with read_week(folder) as week:
        assert str(week.week) == "2018-W44"


@pytest.mark.parametrize("when", ["2999-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "0044-03-15T00:00:00Z (BC)"])
def test_a_moment_no_service_can_have_logged_is_counted_and_decides_nothing(folder: Path, when: str) -> None:
    write(folder, lines(line(), line(as_of=when, customer_id="2")))
    with read_week(folder) as week:
        assert str(week.week) == "2018-W44"
        (counts,) = week.counts
    assert (counts.predictions, counts.foreign) == (1, 1)
    assert counts.sentence() == "2018-11-02_host_1_1_1.jsonl: 1 foreign"


def test_a_service_whose_clock_was_ahead_does_not_decide_which_week_is_the_newest(folder: Path) -> None:
    write(folder, lines(line()))
    ahead = line(as_of="2030-01-01T00:00:00Z", time="2030-01-01T00:00:00.000Z")
    (folder / "2030-01-01_host_1_1_1.jsonl").write_bytes(lines(ahead, line(customer_id="2")))
    with read_week(folder, now=datetime(2018, 11, 3, tzinfo=UTC)) as week:
        assert str(week.week) == "2018-W44"
        assert total(week.counts).predictions == 2
    with read_week(folder, now=datetime(2030, 1, 2, tzinfo=UTC)) as week:
        assert str(week.week) == "2030-W01"
    with (
        pytest.raises(PredictionLogError, match="is a prediction of a moment before 2018-10-01"),
        read_week(folder, now=datetime(2018, 10, 1, tzinfo=UTC)),
    ):
        pass


def test_every_file_of_the_log_is_read_wherever_it_lies_and_however_it_is_packed(folder: Path) -> None:
    names = [
        "2018-11-02_host_1_1_1.jsonl",
        "2018-11-02_host_1_1_2.jsonl.gz",
        "2018-11-02_host_1_1_3.jsonl.1",
        "2018-11-02_host_1_1_4.jsonl-20181103.gz",
        "pod-a/2018-11-02_pod-a_1_1_1.jsonl",
        "pod-a/archive/2018-11-02_pod-a_1_1_2.jsonl.2.gz",
    ]
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = lines(line(customer_id=str(number)), line(api="explain"))
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with read_week(folder) as week:
        assert sorted(one.file for one in week.counts) == sorted(names)
        assert week.customers() == len(names)
        assert total(week.counts).explained == len(names)
    assert not list(folder.rglob(".*"))


def test_half_a_line_and_endless_ones_in_an_archive_are_counted_too(folder: Path) -> None:
    folder.mkdir(parents=True)
    content = lines(line()) + b"x" * 20_000_000 + b"\n" + lines(line(customer_id="2")) + b'{"schema":2,"requ'
    (folder / "2018-11-02_host_1_1_1.jsonl.gz").write_bytes(gzip.compress(content))
    with read_week(folder) as week:
        (counts,) = week.counts
    assert (counts.predictions, counts.foreign, counts.partial) == (2, 1, 1)


def test_the_sample_is_the_same_every_time_and_holds_nobodys_id(folder: Path) -> None:
    rows = week_of_customers(300)
    log_predictions(folder, rows, probabilities(rows))
    with read_week(folder) as week:
        one, same, other = (week.sample(MODEL, 100, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    assert list(one.columns) == [*NAMES, CHURN_PROBABILITY.name, WILL_CHURN.name]
    assert len(one) == 100


def test_long_categories_are_cut_as_the_writer_cuts_them(folder: Path) -> None:
    write(folder, lines(line(features=line()["features"] | {"os": "x" * 100})))
    with read_week(folder) as week:
        assert week.population(MODEL, NOBODY).columns["os"].labels == ("x" * 64,)


def test_the_counts_of_a_file_add_up() -> None:
    counts = FileCounts("a", 1, 2, 3, 4, 5, 6, 7)
    assert counts.lines == 28
    assert total([counts, counts]).foreign == 10
    assert json.loads(json.dumps(vars(counts)))["other_contract"] == 7
    assert len(FEATURES) == len(NAMES)


def test_answers_are_grouped_by_probability_each_customer_once_by_the_newest(folder: Path) -> None:
    found = [("a", 0.12352, True), ("b", 0.12354, True), ("c", 0.12352, False), ("d", 0.9, True), ("e", 1.5, True)]
    newest = [
        line(customer_id=name, row=row, churn_probability=p, will_churn=flag)
        for row, (name, p, flag) in enumerate(found)
    ]
    older = line(customer_id="a", row=9, churn_probability=0.5, will_churn=False, as_of="2018-10-30T00:00:00Z")
    write(folder, lines(older, *newest))
    with read_week(folder) as week:
        answers = week.answers(MODEL)
    cells = sorted(zip(answers.probability, answers.flagged, answers.customers, strict=True))
    assert cells == [
        (pytest.approx(0.12352), 0, 1),
        (pytest.approx(0.12353), 1, 2),
        (pytest.approx(0.9), 1, 1),
        (1.0, 1, 1),  # no probability; the contract's bounds count it, and no estimate fails on it
    ]
