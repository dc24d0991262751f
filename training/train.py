"""`make train`: the training table to a stored, verified, evaluated model."""

import argparse
from pathlib import Path
from typing import Any, Final

from churn.activity.dataset_facts import LogFacts, log_facts
from churn.command import run, say, show
from churn.errors import SettingError
from churn.model.champion import champion_path
from churn.settings import Setting, switch
from training.forest.fit import ForestSettings
from training.forest.policy import POLICIES, PolicySettings
from training.forest.search import VERSION_1, SearchSettings
from training.model.trained import TrainingSettings
from training.options import add_option, parse
from training.run.run import RunResult, RunSettings, run_training
from training.table.folder import DataFolder

PROMOTE: Final = Setting("CHURN_PROMOTE", "0", "1 makes the model the champion.")
POLICY_NUMBERS: Final = ("target_precision", "offer_cost", "kept_value", "success_rate", "top_share")
SEARCH_ON: Final = ("on", "1")
SEARCH_OFF: Final = ("off", "0")
SEARCH_VERSION_1: Final = ("version-1",)


def main() -> None:
    arguments = _arguments()
    folder = DataFolder(arguments.data)
    settings = RunSettings(
        training=settings_from(arguments, log_facts(folder.path)),
        pointer=champion_path(),
        cards=arguments.card,
        promote=arguments.promote,
        tracking=arguments.tracking,
        gender_cost=arguments.gender_cost,
    )
    result = run_training(folder, settings, say)
    for line in summary(result):
        show(line)
    show(f"model card in {result.card}")


def summary(result: RunResult) -> list[str]:
    """The lines that the command prints."""
    trained, model, decision = result.trained, result.model, result.decision
    found, forest = trained.evaluation, trained.settings.forest
    return [
        (
            f"held out: {found.rows} rows of {found.customers} customers ({found.churners} churned) "
            f"at {', '.join(found.dates)}; {found.split}"
        ),
        *(f"  {name.replace('_', ' '):18} {figure}" for name, figure in found.figures.items()),
        f"  threshold          {trained.threshold:.3f} (policy {trained.choice.policy}: {trained.choice.reason})",
        (
            f"forest: {forest.trees} trees of depth {forest.depth}, at least {forest.leaf} rows in a leaf, "
            f"{len(trained.fitted.arrays.left)} nodes ({'searched' if trained.forests.found else 'as set'})"
        ),
        f"model {model.tag}, sha256 {model.sha256[:12]}…; "
        + ("now champion: " if decision.promote else "not champion: ")
        + decision.reason,
        *(f"warning: {text}" for text in found.warnings),
    ]


def settings_from(arguments: argparse.Namespace, facts: LogFacts) -> TrainingSettings:
    """The settings of a run, checked.

    Raises:
        SettingError: one is out of its range, or contradicts another.
    """
    shape = {name: getattr(arguments, name) for name in ("trees", "depth", "leaf")}
    given = {name: value for name, value in shape.items() if value is not None}
    if arguments.search not in {*SEARCH_ON, *SEARCH_OFF, *SEARCH_VERSION_1, None}:
        raise SettingError("search", arguments.search, "on, off or version-1")
    if arguments.search in {*SEARCH_ON, *SEARCH_VERSION_1} and given:
        raise SettingError(
            "search", arguments.search, f"off where {', '.join(given)} is set: a forest is searched for or given"
        )
    search = VERSION_1 if arguments.search in SEARCH_VERSION_1 else SearchSettings()
    without = tuple(name.strip() for name in arguments.without.split(",") if name.strip())
    return TrainingSettings(
        label=facts.label,
        horizon_days=facts.horizon_days,
        seed=arguments.seed,
        forest=ForestSettings(**given, seed=arguments.seed, without=without),
        policy=PolicySettings(
            name=arguments.policy,
            fallback=arguments.fallback_policy,
            **{name: getattr(arguments, name) for name in POLICY_NUMBERS},
        ),
        search=None if arguments.search in SEARCH_OFF or given else search,
    )


def _arguments() -> argparse.Namespace:
    default = ForestSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that `make featurize` wrote to")
    parser.add_argument("--promote", action="store_true", default=switch(PROMOTE), help="make it the champion")
    parser.add_argument("--card", type=Path, default=Path("reports/model_card"), help="folder of the model cards")
    parser.add_argument("--no-tracking", dest="tracking", action="store_false", help="log nothing to MLflow")
    parser.add_argument(
        "--gender-cost",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fit the held-out forests without gender too, to say what leaving it out costs",
    )
    settings: tuple[tuple[str, type, Any, str], ...] = (
        ("seed", int, default.seed, "of every draw"),
        (
            "search",
            str,
            None,
            "on: search for features and shape (the default); version-1: as contract 1 did; off: take the one given",
        ),
        ("trees", int, None, f"10 to 2000 ({default.trees}); with this, depth or leaf nothing is searched"),
        ("depth", int, None, f"1 to 30 ({default.depth})"),
        ("leaf", int, None, f"rows in a leaf at least, 1 to 1000 ({default.leaf})"),
        ("without", str, "", "categories the model must not see, such as gender"),
        ("policy", str, "f1", f"of the threshold: {', '.join(POLICIES)}"),
        ("target-precision", float, None, "for the policy precision"),
        ("fallback-policy", str, None, "where that precision cannot be promised"),
        ("offer-cost", float, None, "of one offer, for the policy cost"),
        ("kept-value", float, None, "of a customer who stays for it, in the same money"),
        ("success-rate", float, None, "share of those about to leave who stay for it"),
        ("top-share", float, None, "share of the customers to flag, for the policy top_share"),
    )
    for name, kind, value, text in settings:
        add_option(parser, name, kind, value, text)
    return parse(parser)


if __name__ == "__main__":
    run(main)
