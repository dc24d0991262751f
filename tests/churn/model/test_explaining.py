import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.contract import BY_NAME, CATEGORICAL, FEATURES, NAMES, example_customer
from churn.errors import ArtifactError
from churn.model.artifact import Column
from churn.model.explaining import Explainer, reasons, rounded, stated
from churn.model.native import library_name
from tests.support import forests, kernel, synthetic
from training.forest.fit import ForestSettings, fit, with_nulls


@pytest.fixture(scope="module")
def model():
    return fit(
        synthetic.training_table(150, 4), ForestSettings(trees=20, depth=8, leaf=5, jobs=1, groups=synthetic.ALL_GROUPS)
    )


@pytest.fixture(scope="module")
def matrix(model):
    return model.encoder.frame(with_nulls(synthetic.training_table(60, 1, seed=3)))


@pytest.fixture(scope="module")
def explainer(model):
    return Explainer(model.arrays, model.encoder.columns, kernel.folder())


@pytest.fixture(scope="module")
def slow_explainer(model, tmp_path_factory):
    return Explainer(model.arrays, model.encoder.columns, tmp_path_factory.mktemp("nothing"))


def test_features_add_up_to_the_score_that_predict_gives(explainer, model, matrix) -> None:
    total = explainer.base_value + explainer.contributions(matrix).sum(axis=1)
    assert np.abs(total - model.classifier.predict_proba(matrix)[:, 1]).max() < 1e-12
    assert np.abs(total - model.score(matrix)).max() < 1e-6


def test_a_categorys_columns_are_added_up_and_numbers_stand_alone(explainer, model, matrix) -> None:
    columns, features = explainer.column_contributions(matrix), explainer.contributions(matrix)
    for index, name in enumerate(NAMES):
        own = [place for place, column in enumerate(model.encoder.columns) if column.feature == name]
        assert np.abs(features[:, index] - columns[:, own].sum(axis=1)).max() < 1e-15
        assert (len(own) > 1) == (name in CATEGORICAL)


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_change_nothing_at_all(explainer, slow_explainer, matrix, threads: int) -> None:
    for each in (explainer, slow_explainer):
        each._rows_per_thread = 8  # so small a forest would not be worth a second thread
        assert (each.contributions(matrix, threads) == each.contributions(matrix)).all()


def test_only_work_that_is_worth_it_is_shared_among_threads(explainer, model, matrix, monkeypatch) -> None:
    fresh = Explainer(model.arrays, model.encoder.columns, kernel.folder())
    monkeypatch.setattr(fresh._pool, "submit", lambda *_: pytest.fail("shared"))
    fresh.contributions(matrix, 2)
    assert fresh._rows_per_thread * len(model.arrays.left) == pytest.approx(250_000, rel=0.01)


def test_both_engines_give_the_same_and_say_which_they_are(explainer, slow_explainer, matrix) -> None:
    assert explainer.engine == "native"
    assert explainer.engine_note == f"{library_name()}, verified"
    assert slow_explainer.engine == "numpy"
    assert "cannot be read" in slow_explainer.engine_note
    assert np.abs(explainer.contributions(matrix) - slow_explainer.contributions(matrix)).max() < 1e-14


def test_an_altered_kernel_is_not_used(model, tmp_path) -> None:
    shutil.copy(kernel.folder() / library_name(), tmp_path)
    with (tmp_path / library_name()).open("ab") as file:
        file.write(b"\0")
    explainer = Explainer(model.arrays, model.encoder.columns, tmp_path)
    assert explainer.engine == "numpy"
    assert "is not the reviewed one" in explainer.engine_note


def test_a_kernel_that_errs_on_this_machine_is_not_used(model, monkeypatch) -> None:
    monkeypatch.setattr("churn.model.native.NativeTreeShap.__call__", lambda _, rows: np.full(rows.shape, 1e-6))
    explainer = Explainer(model.arrays, model.encoder.columns, kernel.folder())
    assert explainer.engine == "numpy"
    assert "differs from NumPy by" in explainer.engine_note


def test_a_forest_of_other_columns_is_refused() -> None:
    with pytest.raises(ArtifactError, match="splits on column 4, the manifest has 4"):
        Explainer(forests.chain(5), [Column(feature=name) for name in NAMES[:4]])


@pytest.mark.parametrize("shape", [(5, 3), (4,)])
def test_a_matrix_of_other_columns_is_refused(explainer, shape) -> None:
    with pytest.raises(ValueError, match="expected"):
        explainer.contributions(np.zeros(shape, dtype=np.float32))


CUSTOMER = example_customer()
TYPICAL = {
    feature.name: {"paid": 0.744, "free": 0.256} if feature.is_category else float(feature.example or 0)
    for feature in FEATURES
}


def told(contributions: dict[str, float], top_k: int = 5, **values):
    row = np.zeros(len(NAMES))
    for name, contribution in contributions.items():
        row[NAMES.index(name)] = contribution
    return reasons(CUSTOMER | values, row, TYPICAL | {"thumbs_down_14d": 1.0}, top_k)


def test_a_reason_states_the_value_beside_the_typical_one() -> None:
    (reason,) = told({"thumbs_down_14d": 0.07}, thumbs_down_14d=9)
    assert reason.text == "9 thumbs down in the last 14 days; customers who stay: 1"
    assert (reason.feature, reason.value, reason.contribution) == ("thumbs_down_14d", 9, 0.07)


def test_what_raises_the_score_comes_first_then_what_speaks_for_staying() -> None:
    found = told({"level": -0.3, "adverts_7d": 0.01, "tenure_days": 0.05, "gender": -0.02})
    assert [reason.feature for reason in found] == ["tenure_days", "adverts_7d", "level", "gender"]
    assert found[2].text == "speaks for staying: on the paid plan; the same for 74 % of customers who stay"


def test_a_measure_appears_once_by_its_strongest_window() -> None:
    found = told({"adverts_7d": 0.02, "adverts_14d": 0.05, "adverts_28d": -0.01, "adverts_trend": 0.03, "level": 0.01})
    assert [reason.feature for reason in found] == ["adverts_14d", "level"]


def test_what_contributes_nothing_is_no_reason() -> None:
    assert told({}) == []


def test_a_typical_value_may_be_unknown() -> None:
    row = np.zeros(len(NAMES))
    row[NAMES.index("tenure_days")] = 0.1
    (reason,) = reasons(CUSTOMER, row, TYPICAL | {"tenure_days": None}, 1)
    assert reason.text == "a customer for 64 days; customers who stay: not known"


@given(
    st.lists(st.sampled_from([-0.5, -0.1, 0.0, 0.1, 0.5]), min_size=len(NAMES), max_size=len(NAMES)), st.integers(0, 30)
)
def test_reasons_are_at_most_top_k_one_per_measure_and_in_order(contributions, top_k) -> None:
    found = reasons(CUSTOMER, np.array(contributions), TYPICAL, top_k)
    measures = [BY_NAME[reason.feature].measure for reason in found]
    assert len(found) <= top_k
    assert len(set(measures)) == len(measures)
    assert all(reason.contribution == contributions[NAMES.index(reason.feature)] for reason in found)
    raising = [reason.contribution for reason in found if reason.contribution > 0]
    lowering = [reason.contribution for reason in found if reason.contribution < 0]
    assert [reason.contribution for reason in found] == sorted(raising, reverse=True) + sorted(lowering)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("songs_28d", 12345, "12,345 songs played in the last 28 days"),
        ("songs_7d", 1, "1 song played in the last 7 days"),
        ("sessions_7d", 1, "1 listening session in the last 7 days"),
        ("downgrade_visits_14d", 1, "1 visit to the downgrade page in the last 14 days"),
        ("thumbs_down_7d", 1, "1 thumbs down in the last 7 days"),
        ("errors_7d", 0, "0 error pages seen in the last 7 days"),
        ("session_minutes_14d", 127.349, "sessions of 127 minutes in the last 14 days"),
        ("songs_per_session_7d", 8.25, "8.2 songs per session in the last 7 days"),
        ("songs_per_session_7d", None, "no listening session in the last 7 days"),
        ("session_minutes_28d", None, "no listening session in the last 28 days"),
        ("adverts_trend", 0.2541, "adverts heard this week at 0.25 times the usual pace"),
        ("adverts_trend", 1.0, "adverts heard this week at 1 times the usual pace"),
        ("adverts_trend", None, "no adverts heard in the last 28 days"),
        ("days_since_last_event", 1.25, "last active 1.2 days ago"),
        ("days_since_last_event", 1.0, "last active 1 day ago"),
        ("days_since_last_event", 21.0, "last active 21 days ago"),
        ("tenure_days", None, "time as a customer not known"),
        ("tenure_days", 0.0, "a customer for 0 days"),
        ("gender", None, "gender not known"),
        ("os", None, "operating system not known"),
        ("os", "Mac OS X", "listens on Mac OS X"),
        ("browser", "{value}", "uses {value}"),
        ("level", "free", "on the free plan"),
    ],
)
def test_values_are_stated_in_plain_words(name: str, value, text: str) -> None:
    assert stated(BY_NAME[name], value) == text


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_can_be_stated(name: str) -> None:
    feature = BY_NAME[name]
    assert "{" not in stated(feature, feature.example)
    if feature.nullable:
        missing = stated(feature, None)
        assert "None" not in missing
        assert missing.startswith("no ") or missing.endswith(" not known")


@pytest.mark.parametrize(
    ("value", "typical", "text"),
    [
        (None, {"F": 0.5, "M": 0.4}, "gender not known; the same for 10 % of customers who stay"),
        ("F", {"F": 0.004, "M": 0.9}, "registered as F; the same for fewer than 1 % of customers who stay"),
        ("F", {}, "registered as F; the same for fewer than 1 % of customers who stay"),
    ],
)
def test_a_category_stands_beside_its_share(value, typical, text: str) -> None:
    row = np.zeros(len(NAMES))
    row[NAMES.index("gender")] = 1
    (reason,) = reasons(CUSTOMER | {"gender": value}, row, TYPICAL | {"gender": typical}, 5)
    assert reason.text == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.004, "0"),
        (0.25, "0.25"),
        (0.5, "0.5"),
        (1, "1"),
        (1.04, "1"),
        (9.96, "10"),
        (10.4, "10"),
        (100, "100"),
        (280_000, "280,000"),
    ],
)
def test_numbers_are_rounded_as_a_person_would(number: float, text: str) -> None:
    assert rounded(number) == text
