"""The columns that are watched for drift are those that the model uses."""

from churn.contract import GROUPS
from monitoring.drift.decision import MONITORED
from monitoring.drift.stored_models import Watched, reference_frame
from tests.conftest import ChampionModel


def test_a_model_of_the_default_groups_is_watched_for_these_and_its_outputs(champion: ChampionModel) -> None:
    reference = reference_frame(champion.trained.reference, champion.model.manifest.threshold)
    names = [feature.name for feature in Watched(champion.model, reference).monitored]
    used = {name for group in GROUPS if group.name in ("profile", "windows") for name in group.names}
    assert set(names) == used | {"churn_probability", "will_churn"}
    assert names == [feature.name for feature in MONITORED if feature.name in names]
    assert len(names) < len(MONITORED)
