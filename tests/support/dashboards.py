"""The committed Grafana dashboards, as the tests that read them need them."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent.parent / "deploy" / "grafana" / "dashboards"


@dataclass(frozen=True)
class Dashboard:
    """One file of `deploy/grafana/dashboards/`."""

    path: Path

    @cached_property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    @property
    def uid(self) -> str:
        return self.path.stem

    @property
    def panels(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.content["panels"]
        return found

    @property
    def charts(self) -> list[dict[str, Any]]:
        """The panels that show figures; the others are headings."""
        return [panel for panel in self.panels if panel["type"] != "row"]

    @property
    def targets(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Every query with its panel."""
        return [(panel, target) for panel in self.charts for target in panel["targets"]]

    @property
    def expressions(self) -> list[str]:
        return [target["expr"] for _, target in self.targets]


DASHBOARDS = [Dashboard(path) for path in sorted(FOLDER.glob("*.json"))]
EXPRESSIONS = [expression for dashboard in DASHBOARDS for expression in dashboard.expressions]
