"""Rooms and arrows: who may import whom, read from the source of every module (docs/decisions/layout.md)."""

from pathlib import Path

import pytest
import yaml

from tests.support.sources import ENTRIES, ROOT, files, imported, imports, packages, reached

LAYERS: dict[str, list[set[str]]] = {
    "churn": [
        {"churn"},
        {"churn.activity", "churn.model", "churn.quality", "churn.prediction_log", "churn.online_store"},
        {"churn.retention"},
    ],
    "serving": [{"serving"}],
    "training": [
        {"training.table", "training.simulator"},
        {"training.forest"},
        {"training.evaluation"},
        {"training.model"},
        {"training.tracking"},
        {"training.evaluation_report", "training.card"},
        {"training.run"},
        {"training.selection", "training.retraining"},
        {"training"},
    ],
    "monitoring": [
        {"monitoring.findings"},
        {"monitoring.reports"},
        {"monitoring.drift", "monitoring.performance"},
        {"monitoring.prediction_log", "monitoring.alerts", "monitoring.pages"},
        {"monitoring.labels"},
        {"monitoring.weekly"},
        {"monitoring"},
    ],
    "scripts": [{"scripts"}],
    "pipeline": [{"pipeline"}],
    "service": [{"service"}],
    "deploy": [{"deploy.image"}],
}
"""The folders of each room, lowest first. A folder imports itself and what lies below it, not its neighbours."""


def whole(*rooms: str) -> set[str]:
    return set().union(*(layer for room in rooms for layer in LAYERS[room]))


SERVED = whole("churn") - {"churn.activity", "churn.quality", "churn.retention"}
OUTSIDE = {
    "churn": set(),
    "serving": SERVED,
    "training": whole("churn"),
    "monitoring": whole("churn"),
    "scripts": whole("churn", "serving") | {"monitoring.findings"},
    "pipeline": whole("churn", "training", "monitoring", "scripts"),
    "service": SERVED | whole("serving"),
    "deploy": set(),
}
"""The folders of other rooms that a room may import."""

MAY_IMPORT = {
    folder: {folder}.union(OUTSIDE[room], *layers[:height])
    for room, layers in LAYERS.items()
    for height, layer in enumerate(layers)
    for folder in layer
}
ANYTHING = {"tests", "load_tests"}
IN_THE_BENTO = (*ENTRIES, Path("churn/prediction_log/__main__.py"))
NEEDS_THE_LOG = {"duckdb", "ibis", "pandas", "pyarrow", "sklearn", "evidently", "scipy", "ua_parser"}
UNPICKLES = {"pickle", "joblib", "dill", "cloudpickle", "shelve"}


def folder(module: str) -> str:
    """The room or the folder in it: `churn.model.native.build` -> `churn.model`."""
    return ".".join(files()[module].parts[:-1][:2]) or module


OURS = {module: path for module, path in files().items() if module.split(".")[0] not in ANYTHING}
FOLDERS = sorted({folder(module) for module in OURS})


@pytest.mark.parametrize("name", FOLDERS)
def test_arrows_point_down(name: str) -> None:
    arrows = {(module, target) for module in OURS if folder(module) == name for target in imports(files()[module])}
    wrong = sorted(f"{module} imports {target}" for module, target in arrows if folder(target) not in MAY_IMPORT[name])
    assert not wrong


def circles() -> list[str]:
    """Every module from which a way of imports leads back to it."""
    found = []
    for module, path in files().items():
        seen: set[str] = set()
        waiting = list(imports(path))
        while waiting:
            target = waiting.pop()
            if target not in seen:
                seen.add(target)
                waiting += imports(files()[target])
        if module in seen:
            found.append(module)
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles() == []


def test_the_service_reaches_nothing_that_its_image_does_not_install() -> None:
    for path in reached([Path("service.py")]):
        assert not packages(path) & NEEDS_THE_LOG, f"{path} imports {packages(path) & NEEDS_THE_LOG}"


def test_the_bento_holds_what_its_entry_points_reach_and_nothing_else() -> None:
    built = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    held = {path.relative_to(ROOT) for pattern in built["include"] for path in ROOT.glob(pattern)}
    assert "exclude" not in built
    assert {path for path in held if path.suffix == ".py"} == reached(IN_THE_BENTO)


def test_no_module_unpickles() -> None:
    for path in OURS.values():
        assert not imported(path) & UNPICKLES, path


WHOLE_PRODUCT = {"tests", "tests.integration", "tests.system", "tests.container", "tests.deploy"}
MIRRORED = {
    module: ".".join(path.parts[1:-1])
    for module, path in files().items()
    if path.name.startswith("test_") and ".".join(path.parts[:-1]) not in WHOLE_PRODUCT
}


def test_a_test_lies_in_the_folder_that_mirrors_what_it_tests() -> None:
    """The notebook's test runs it and imports nothing; every other one imports from the folder it is named after."""
    tested = {module: {folder(name) for name in imports(files()[module])} for module in MIRRORED}
    assert {module for module, room in MIRRORED.items() if room not in tested[module]} == {
        "tests.training.test_notebook"
    }
