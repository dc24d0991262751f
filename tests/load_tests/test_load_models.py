"""The forests of the benchmark: a stored one and its copy for the rivals are the same forest."""

import joblib  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import pytest

from churn.model.artifact import StoredModel
from churn.model.scoring import Scorer
from load_tests import models
from tests.conftest import ChampionModel


def test_the_copy_for_scikit_learn_scores_what_the_stored_forest_scores(champion: ChampionModel) -> None:
    model = champion.model
    copy = models.as_scikit_learn(model.forest(), len(model.manifest.columns))
    scorer = Scorer(model)
    matrix = scorer.encoder.frame(champion.table.head(500))
    expected = champion.trained.fitted.classifier.predict_proba(matrix)[:, 1]
    assert np.abs(copy.predict_proba(matrix)[:, 1] - expected).max() < 1e-12
    assert len(set(expected.tolist())) > 50


def test_what_the_rivals_load_is_that_copy_with_its_columns(champion: ChampionModel, tmp_path) -> None:
    models.keep_for_rivals(champion.model, tmp_path / "forest.joblib")
    kept = joblib.load(tmp_path / "forest.joblib")
    assert kept["columns"] == champion.model.manifest.columns
    assert len(kept["forest"].estimators_) == len(champion.model.forest().roots)


def test_a_copy_that_scores_otherwise_is_not_measured(champion: ChampionModel, tmp_path, monkeypatch) -> None:
    forest = champion.model.forest()
    monkeypatch.setattr(StoredModel, "forest", lambda _: forest)
    forest.value[forest.left < 0] += 0.01
    with pytest.raises(models.ForestsDifferError, match=champion.model.tag):
        models.keep_for_rivals(champion.model, tmp_path / "forest.joblib")
