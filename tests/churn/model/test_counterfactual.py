"""Against the plain way: score every value that the feature may take, and take the nearest that helps."""

from dataclasses import dataclass

import numpy as np
import pytest

from churn.contract import BY_NAME, FEATURES, NULLABLE, NUMERIC
from churn.contradictions import broken
from churn.model.artifact import Calibration, Column
from churn.model.counterfactual import Counterfactual, Suggestion, movable
from churn.model.scoring import NULL_VALUE, calibrated, open_session, run_session
from tests.support import forests, synthetic
from training.forest.fit import ForestSettings, fit

CALIBRATION = Calibration(slope=4.0, intercept=-2.0)


@dataclass
class Scorer:
    session: object
    threshold: float

    def score(self, matrix):
        return run_session(self.session, matrix)

    def probability(self, score):
        return calibrated(score, CALIBRATION)


@dataclass
class Case:
    fitted: object
    scorer: Scorer
    finder: Counterfactual
    matrix: np.ndarray

    def helps(self, rows):
        return self.scorer.probability(self.scorer.score(rows)) < self.scorer.threshold


@pytest.fixture(scope="module", params=[(0, 8, 5, 0.9), (1, 4, 20, 0.7), (2, 20, 1, 0.95)], ids=str)
def case(request):
    seed, depth, leaf, quantile = request.param
    fitted = fit(
        synthetic.training_table(150, 4, seed),
        ForestSettings(trees=15, depth=depth, leaf=leaf, seed=seed, jobs=1, groups=synthetic.ALL_GROUPS),
    )
    matrix = fitted.encoder.frame(synthetic.training_table(300, 1, seed + 10))
    probability = calibrated(fitted.score(matrix), CALIBRATION)
    scorer = Scorer(open_session(fitted.onnx), float(np.quantile(probability, quantile)))
    return Case(fitted, scorer, Counterfactual(fitted.arrays, fitted.encoder.columns), matrix)


def by_feature(case, row):
    (suggestions,) = case.finder.what_would_help(case.matrix[row : row + 1], case.scorer)
    return {suggestion.feature: suggestion for suggestion in suggestions}


def test_finds_the_nearest_value_that_helps_and_no_other(case) -> None:
    found = 0
    for row in np.flatnonzero(~case.helps(case.matrix))[:25]:
        suggested = by_feature(case, row)
        for one in movable(case.fitted.encoder.columns):
            expected = nearest_by_trying(case, row, one)
            suggestion = suggested.get(one.feature.name)
            assert (None if suggestion is None else suggestion.to_value) == expected
            found += suggestion is not None
    assert found >= 10


def nearest_by_trying(case, row, one):
    low, high = (bound[0] for bound in one.bounds(case.finder._told(case.matrix[row : row + 1])))
    values = np.arange(low, min(high, 500) + 1)
    changed = np.repeat(case.matrix[row : row + 1], len(values), axis=0)
    own = changed[:, one.column].copy()
    changed[:, one.column] = values
    helpful = np.flatnonzero(case.helps(changed))
    if not len(helpful):
        return None
    best = helpful[np.argmin(np.abs(values - own)[helpful])]
    followed = changed[best : best + 1].copy()
    one.follow(followed)
    return int(values[best]) if case.helps(followed)[0] else None


def test_the_probability_is_the_one_that_predict_gives(case) -> None:
    columns = [column.feature for column in case.fitted.encoder.columns]
    answers = case.finder.what_would_help(case.matrix, case.scorer)
    assert any(answers)
    for row, suggestions in zip(case.matrix, answers, strict=True):
        for suggestion in suggestions:
            changed = row[None].copy()
            assert changed[0, columns.index(suggestion.feature)] == suggestion.from_value
            changed[0, columns.index(suggestion.feature)] = suggestion.to_value
            assert suggestion.churn_probability == case.scorer.probability(case.scorer.score(changed))[0]
            assert suggestion.churn_probability < case.scorer.threshold
            exact = case.fitted.classifier.predict_proba(changed)[:, 1]
            assert suggestion.churn_probability == pytest.approx(calibrated(exact, CALIBRATION)[0], abs=1e-6)


def test_what_is_suggested_could_be_true(case) -> None:
    """Whole counts within the contract's bounds, and no rule of the service broken that was not broken before."""
    place = {column.feature: index for index, column in enumerate(case.fitted.encoder.columns)}
    numeric = [place[name] for name in NUMERIC]
    for row, suggestions in zip(case.matrix, case.finder.what_would_help(case.matrix, case.scorer), strict=True):
        for suggestion in suggestions:
            feature = BY_NAME[suggestion.feature]
            assert feature.actionable
            assert isinstance(suggestion.to_value, int)
            assert feature.minimum <= suggestion.to_value <= feature.maximum
            both = np.stack([row, row]).astype(np.float64)[:, numeric]
            both[1, NUMERIC.index(feature.name)] = suggestion.to_value
            both[both == NULL_VALUE] = np.nan
            before, after = broken(both)
            assert not (after & ~before).any()


def test_lowest_probability_first_and_each_feature_once(case) -> None:
    for suggestions in case.finder.what_would_help(case.matrix, case.scorer):
        probabilities = [suggestion.churn_probability for suggestion in suggestions]
        assert probabilities == sorted(probabilities)
        assert len({suggestion.feature for suggestion in suggestions}) == len(suggestions)


def test_who_is_below_the_threshold_needs_no_help(case) -> None:
    safe = case.helps(case.matrix)
    answers = case.finder.what_would_help(case.matrix, case.scorer)
    assert 0 < safe.sum() < len(safe)
    assert not any(answer for answer, below in zip(answers, safe, strict=True) if below)


def test_a_customer_is_answered_alike_in_any_company(case) -> None:
    together = case.finder.what_would_help(case.matrix[:80], case.scorer)
    assert together == [case.finder.what_would_help(row[None], case.scorer)[0] for row in case.matrix[:80]]


def test_no_customers_no_answers(case) -> None:
    assert case.finder.what_would_help(case.matrix[:0], case.scorer) == []


class Hand:
    """A forest of one split on `thumbs_down_14d`: above 2, churn for sure."""

    columns = tuple(Column(feature=feature.name) for feature in FEATURES if not feature.is_category)
    names = tuple(column.feature for column in columns)
    threshold = 0.5

    def __init__(self, feature="thumbs_down_14d", at=2.5, below=0.0):
        column = self.names.index(feature)
        chain = forests.chain(1)
        self.forest = type(chain)(
            roots=chain.roots,
            left=chain.left,
            right=chain.right,
            column=np.where(chain.column < 0, -1, column).astype(np.int32),
            threshold=np.full(3, at, dtype=np.float32),
            value=np.array([0.5, below, 1 - below]),
            cover=chain.cover,
        )

    def score(self, matrix):
        return np.array([forests.score(self.forest, row) for row in matrix])

    def probability(self, score):
        return score

    def ask(self, **values):
        row = np.zeros((1, len(self.names)), dtype=np.float32)
        for name in set(NULLABLE) & set(self.names):
            row[0, self.names.index(name)] = -1
        for days in (7, 14, 28):
            row[0, self.names.index(f"events_{days}d")] = 100
        for name, value in values.items():
            row[0, self.names.index(name)] = value
        (suggestions,) = Counterfactual(self.forest, self.columns).what_would_help(row, self)
        return suggestions


def test_one_split_one_answer() -> None:
    found = Hand().ask(thumbs_down_7d=1, thumbs_down_14d=7, thumbs_down_28d=9, thumbs_down_trend=0.44)
    assert found == [Suggestion("thumbs_down_14d", from_value=7, to_value=2, churn_probability=0.0)]


def test_a_longer_window_cannot_hold_less_than_a_shorter_one() -> None:
    assert Hand().ask(thumbs_down_7d=5, thumbs_down_14d=7, thumbs_down_28d=9, thumbs_down_trend=2.2) == []


def test_a_longer_window_may_grow_and_a_shorter_one_only_within_it() -> None:
    more = {"below": 1.0, "at": 4.5}
    assert Hand("help_visits_28d", **more).ask()[0].to_value == 5
    assert Hand("help_visits_7d", **more).ask(help_visits_14d=4, help_visits_28d=9) == []
    assert Hand("help_visits_7d", **more).ask(help_visits_14d=5, help_visits_28d=9)[0].to_value == 5


def test_no_more_of_a_measure_than_events() -> None:
    assert Hand("help_visits_28d", at=4.5, below=1.0).ask(events_28d=4) == []


def test_a_month_with_a_trend_cannot_become_empty_and_one_without_may_fill() -> None:
    fewer = Hand("friends_added_28d", at=0.5)
    assert fewer.ask(friends_added_28d=3, friends_added_trend=0) == []
    assert fewer.ask(friends_added_28d=3)[0].to_value == 0
    assert Hand("friends_added_28d", at=0.5, below=1.0).ask()[0].to_value == 1


def test_what_the_service_cannot_influence_is_not_suggested() -> None:
    assert Hand("songs_14d", below=1.0).ask(songs_28d=10, songs_trend=0) == []


def test_it_must_help_too_with_the_trend_that_follows() -> None:
    """Fewer in the month with the same week is a steeper trend, which this forest holds against the customer."""
    hand = Hand("adverts_28d", at=10.5)
    values = {"adverts_7d": 5, "adverts_14d": 8, "adverts_28d": 20, "adverts_trend": 1.0}
    assert hand.ask(**values)[0].to_value == 10
    trend = hand.names.index("adverts_trend")
    unmoved = hand.score
    hand.score = lambda matrix: np.maximum(unmoved(matrix), matrix[:, trend] > 1.5)  # type: ignore[method-assign]  # a model made for this test
    assert hand.ask(**values) == []


def test_a_suggestion_agrees_with_features_that_the_forest_does_not_see() -> None:
    """A forest of the windows alone; the customers were sent with all features of the contract."""
    fitted = fit(synthetic.training_table(150, 4, 0), ForestSettings(trees=15, depth=8, leaf=5, seed=0, jobs=1))
    rows = synthetic.training_table(300, 1, 10)
    matrix, numbers = fitted.encoder.frame(rows), rows[list(NUMERIC)].to_numpy(np.float64)
    probability = calibrated(fitted.score(matrix), CALIBRATION)
    scorer = Scorer(open_session(fitted.onnx), float(np.quantile(probability, 0.9)))
    finder = Counterfactual(fitted.arrays, fitted.encoder.columns)
    made = {}
    for told in (None, numbers):
        made[told is not None] = [
            (row, suggestion)
            for row, suggestions in zip(numbers, finder.what_would_help(matrix, scorer, told), strict=True)
            for suggestion in suggestions
        ]
    assert any(contradicted(*one) for one in made[False])  # so that the test can fail
    assert len(made[True]) > 10
    assert not any(contradicted(*one) for one in made[True])


def contradicted(row, suggestion) -> bool:
    both = np.stack([row, row])
    both[1, NUMERIC.index(suggestion.feature)] = suggestion.to_value
    before, after = broken(both)
    return bool((after & ~before).any())
