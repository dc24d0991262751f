"""The model card says what the model is, to everybody, and nothing about anybody."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from churn.code_version import CodeVersion
from churn.errors import TrackingError
from churn.model.champion import Champion, read_champion
from churn.quality.figure import Figure
from churn.quality.measures import LABEL
from tests.support import synthetic
from training import train as command
from training.card.model_card import HTML, MARKDOWN, PLOTS, Card, card, figure_text, number_text, plain, write_card
from training.evaluation.feature_cost import FeatureCost
from training.forest.fit import ForestSettings
from training.forest.search import Candidate, Forests, Search
from training.model.manifest import ModelFacts, model_facts
from training.model.trained import TrainedModel
from training.run import run
from training.table.folder import TRAINING, DataFolder
from training.tracking.place import tracking_uri

MODEL = Champion("churn:abc", "f" * 64)
COST = FeatureCost(
    "gender", Figure(0.7, 0.6, 0.8), Figure(0.69, 0.59, 0.79), Figure(-0.01, -0.02, -0.001), left_out=False
)
SCRIPT = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What of a page the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.anchors: set[str] = set()
        self.targets: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "img":
            self.images.append(given)
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a":
            self.targets.add(given["href"])


@pytest.fixture(scope="module")
def made(trained: TrainedModel, facts: ModelFacts) -> Card:
    code = CodeVersion("0123456789abcdef", dirty=True)
    return card(trained, facts, code, "run-1", COST, lambda _: None)


@pytest.fixture(scope="module")
def folder(made: Card, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_card(made, MODEL, tmp_path_factory.mktemp("cards") / "abc")


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / HTML).read_text()


@pytest.fixture(scope="module")
def markdown(folder: Path) -> str:
    return (folder / MARKDOWN).read_text()


def test_the_folder_holds_the_page_the_markdown_and_the_plots(folder: Path, made: Card) -> None:
    assert {path.name for path in folder.iterdir()} == {HTML, MARKDOWN, PLOTS}
    assert {path.stem for path in (folder / PLOTS).iterdir()} == {plot.caption.name for plot in made.plots}


def test_all_the_plots_are_there(made: Card) -> None:
    assert {
        "roc",
        "precision-recall",
        "gain",
        "calibration",
        "threshold",
        "shap",
        "permutation",
        "auc-by-date",
        "auc-by-plan",
        "auc-by-tenure",
        "auc-by-operating-system",
        "auc-by-gender",
    } <= {plot.caption.name for plot in made.plots}


def test_every_plot_is_shown_once_and_told_in_words(html: str, made: Card) -> None:
    images = Page(html).images
    assert len(images) == len(made.plots)
    assert {image["alt"] for image in images} == {plot.caption.alt for plot in made.plots}
    assert all(len(plot.caption.alt) > 30 for plot in made.plots)
    for image in images:
        kind, content = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(content)


def test_the_page_needs_nothing_but_itself(html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert page.targets == {target for target in page.targets if target.startswith("#")}
    assert {target[1:] for target in page.targets} <= page.anchors
    assert "default-src 'none'" in html


def test_the_markdown_shows_plots_that_exist(markdown: str, folder: Path, made: Card) -> None:
    shown = re.findall(r"\]\((plots/[^)]+)\)", markdown)
    assert len(shown) == len(made.plots)
    assert all((folder / path).exists() for path in shown)


def test_the_rows_of_a_table_have_as_many_cells_as_its_head(markdown: str) -> None:
    tables = re.split(r"\n\n+", markdown)
    for table in (lines for text in tables if (lines := text.strip().splitlines()) and lines[0].startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1, table[0]


@pytest.mark.parametrize("name", [HTML, MARKDOWN])
def test_every_figure_stands_with_its_interval(folder: Path, trained: TrainedModel, name: str) -> None:
    text = (folder / name).read_text()
    for figure in trained.evaluation.figures.values():
        assert f"{figure.value:.3f}" in text
        assert f"{figure.low:.3f} to {figure.high:.3f}" in text
    for warning in trained.evaluation.warnings:
        assert warning in text.replace("&#39;", "'")


@pytest.mark.parametrize("name", [HTML, MARKDOWN])
def test_it_says_where_the_model_comes_from(folder: Path, trained: TrainedModel, facts: ModelFacts, name: str) -> None:
    text = (folder / name).read_text()
    fingerprint = facts.training.fingerprint
    for fact in (MODEL.tag, MODEL.sha256, "run-1", "0123456789ab with local changes", fingerprint, "synthetic"):
        assert fact in text, fact
    assert str(trained.evaluation.churners) in text


@pytest.mark.parametrize("name", [HTML, MARKDOWN])
def test_it_says_what_leaving_gender_out_costs(folder: Path, name: str) -> None:
    text = (folder / name).read_text()
    assert "leaving it out costs −0.0100 AUC (95 % interval −0.0200 to −0.0010)" in text
    assert "Left out of this model: nothing" in text


def test_what_was_not_worked_out_is_said_to_be(made: Card, tmp_path: Path) -> None:
    bare = replace(made, facts={**made.facts, "cost": None, "run_id": None, "without": ("gender",)})
    text = (write_card(bare, MODEL, tmp_path / "card") / HTML).read_text()
    assert "Not worked out in this run" in text
    assert "not tracked" in text
    assert "Left out of this model: gender" in text


def test_names_from_the_log_are_text_and_nothing_else(trained: TrainedModel, facts: ModelFacts, tmp_path: Path) -> None:
    table = trained.table.copy()
    table["os"] = table["os"].replace({"Windows": f"{SCRIPT}|$x^2$"})
    hostile = replace(trained, table=table)
    made = card(
        hostile,
        model_facts(hostile, synthetic.table_facts(table, source=SCRIPT)),
        CodeVersion("1", False),
        None,
        None,
        lambda _: None,
    )
    folder = write_card(made, MODEL, tmp_path / "card")
    html = (folder / HTML).read_text()
    assert "script" not in Page(html).tags
    assert "&lt;script&gt;" in html
    assert SCRIPT not in (folder / MARKDOWN).read_text()
    for plot in (folder / PLOTS).iterdir():
        assert SCRIPT not in plot.read_text()
    assert "$x^2$" in (folder / PLOTS / "auc-by-operating-system.svg").read_text()


def test_no_customer_is_named(trained: TrainedModel, facts: ModelFacts, tmp_path: Path) -> None:
    def marked(frame: Any) -> Any:
        return frame.assign(customer_id="person-" + frame.customer_id)

    named = replace(
        trained, table=marked(trained.table), held_out=marked(trained.held_out), reference=marked(trained.reference)
    )
    made = card(
        named,
        model_facts(named, synthetic.table_facts(named.table)),
        CodeVersion("1", False),
        None,
        COST,
        lambda _: None,
    )
    folder = write_card(made, MODEL, tmp_path / "card")
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert "person-" not in path.read_text(), path.name


def test_the_same_model_gives_the_same_card(trained: TrainedModel, facts: ModelFacts, made: Card) -> None:
    code = CodeVersion("0123456789abcdef", dirty=True)
    again = card(trained, facts, code, "run-1", COST, lambda _: None)
    assert [plot.svg for plot in again.plots] == [plot.svg for plot in made.plots]
    assert again.facts == made.facts


def test_a_search_is_shown_with_its_curve(trained: TrainedModel, facts: ModelFacts, tmp_path: Path) -> None:
    curve = tuple(
        Candidate(trees, 4, 20, nodes=30 * trees, auc=0.6 + trees / 1000, loss=loss, loss_error=0.0)
        for trees, loss in ((10, 0.1), (20, 0.0), (40, 0.0))
    )
    search = Search(ForestSettings(20, 4, 20), curve, rows=9, customers=8, churners=7, errors=0.5)
    found = replace(trained, forests=Forests(trained.settings.forest, found=search))
    made = card(found, facts, CodeVersion("1", False), None, None, lambda _: None)
    text = (write_card(made, MODEL, tmp_path / "card") / HTML).read_text()
    assert "3 forests were tried on 9 rows of 8 customers" in text
    assert "the chosen one has 600 nodes and 0.620" in text


def test_text_is_plain_in_markdown() -> None:
    assert plain("a|b\n<i>*x*") == r"a\|b \<i\>\*x\*"
    assert plain("[a](b)") == r"\[a\]\(b\)"


def test_numbers_are_short() -> None:
    assert [number_text(value) for value in (0.0, 3.0, 2.345, 1234.5)] == ["0", "3", "2.35", "1,234"]
    assert figure_text(None) == "too few to say"
    assert figure_text(Figure(0.5, 0.25, 0.75), percent=True) == "50% (25% to 75%)"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: TrainedModel) -> DataFolder:
    """A data folder as `make featurize` leaves it, a champion pointer of its own, a model that is fitted already."""
    for name in ("CHURN_MLFLOW", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "CHURN_PROMOTE"):
        monkeypatch.delenv(name, raising=False)
    folder = DataFolder(tmp_path / "data")
    folder.path.mkdir()
    folder.write_table(TRAINING, trained.table)
    folder.write_facts(synthetic.table_facts(trained.table))
    monkeypatch.setenv("CHURN_CHAMPION", str(tmp_path / "champion.json"))
    arguments = ["--data", str(folder.path), "--card", str(tmp_path / "cards"), "--no-gender-cost", "--trees", "10"]
    monkeypatch.setattr(run, "train", lambda *_: trained)
    monkeypatch.setattr("sys.argv", ["train", *arguments])
    return folder


def stored_models() -> set[str]:
    import bentoml  # noqa: PLC0415  # reads BENTOML_HOME when it is imported

    return {str(model.tag) for model in bentoml.models.list()}


def test_training_leaves_a_card_and_a_run_that_point_to_the_model_and_it_to_them(
    workplace: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import bentoml  # noqa: PLC0415  # as above
    from mlflow import MlflowClient  # noqa: PLC0415  # slow to import

    command.main()
    champion = read_champion(tmp_path / "champion.json")
    version = champion.tag.split(":")[1]
    assert f"Model card of {champion.tag}" in (tmp_path / "cards" / version / HTML).read_text()
    run_id = bentoml.models.get(champion.tag).info.labels["mlflow_run"]
    kept = MlflowClient(tracking_uri=tracking_uri(workplace.path)).get_run(run_id)
    assert kept.data.tags["bentoml_model"] == champion.tag
    assert kept.data.tags["model_sha256"] == champion.sha256
    figures = json.loads((workplace.path / "evaluation.json").read_text())["figures"]
    assert kept.data.metrics["auc"] == figures["auc"]["value"]
    assert str(tmp_path / "cards" / version) in capsys.readouterr().out


def test_where_tracking_does_not_answer_nothing_is_fitted_or_stored(
    workplace: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored_models()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setattr(run, "train", lambda *_: pytest.fail("fitted"))
    with pytest.raises(TrackingError, match="MLFLOW=off"):
        command.main()
    assert stored_models() == before
    assert not (tmp_path / "champion.json").exists()
    assert not (tmp_path / "cards").exists()


def test_a_run_that_cannot_be_written_to_stores_no_model(
    workplace: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored_models()

    def gone(*_: object) -> None:
        raise TrackingError("http://tracking.example", "gone")

    monkeypatch.setattr(run, "record_facts", gone)
    with pytest.raises(TrackingError, match="gone"):
        command.main()
    assert stored_models() == before
    assert not (tmp_path / "champion.json").exists()


def test_labels_are_what_the_card_counts(trained: TrainedModel, made: Card) -> None:
    counted = sum(outcome.rows for outcome in made.facts["errors"].outcomes)
    assert counted == len(trained.held_out)
    assert {name for name, _ in made.facts["data"]} >= {"rows", "customers", "customers who churned"}
    churners = trained.table.customer_id[trained.table[LABEL] == 1].nunique()
    assert dict(made.facts["data"])["customers who churned"] == f"{churners:,}"
