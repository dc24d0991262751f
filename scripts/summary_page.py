"""`make docs`: the fields of `summary.json` in the documentation, from the types that read and write it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from churn.command import run, show
from churn.files import replace_file
from monitoring.findings.drift import Measure, Segment
from monitoring.findings.performance import (
    EstimatedPerformance,
    JudgedCustomers,
    Metrics,
    PendingLabels,
    Performance,
    RealisedPerformance,
)
from monitoring.findings.stored import Stored
from monitoring.findings.summary import (
    AtRiskCounts,
    BeforeAndNow,
    FeatureSummary,
    LogSummary,
    ModelSummary,
    RankedFeature,
    Reference,
    Stale,
    Summary,
    UnusableFile,
    Volume,
)

PAGE: Final = Path(__file__).parent.parent / "docs" / "summary.md"
PARTS: Final[tuple[type[BaseModel], ...]] = (
    Summary, ModelSummary, Stale, Reference, BeforeAndNow, Volume, FeatureSummary, Measure, RankedFeature, Segment,
    Performance, EstimatedPerformance, RealisedPerformance, JudgedCustomers, PendingLabels, Metrics, AtRiskCounts,
    LogSummary, UnusableFile,
)  # fmt: skip
HEAD: Final = """# `summary.json`

Made from `monitoring/findings/` by `make docs`. Every week has one, `reports/YYYY-Www/summary.json`, with the
findings of its report, for schedulers, pages and messages; it holds no customer ids. Moments are ISO 8601 in UTC. A
number that is not finite is null. A measure is an object of `value`, `low` and `high` (its 95 % interval), all null
where it is not defined.

New fields may come; `schema` grows when a field changes its meaning or goes. A field that does not apply is absent. A
file that is damaged, or of another schema, is refused with its name and field, and its week shown as one without a
report.
"""
_WORDS: Final = {"integer": "integer", "number": "number", "string": "text", "null": "null"}


def page() -> str:
    """The whole page; a test compares it with the file."""
    return "\n".join([HEAD, *(line for part in PARTS for line in _section(part))])


def _section(part: type[BaseModel]) -> Iterator[str]:
    yield f"## {_title(part.__name__)}"
    yield ""
    yield str(part.__doc__).partition("\n")[0]
    yield ""
    yield "| field | type | what |"
    yield "|---|---|---|"
    properties = part.model_json_schema()["properties"]
    leading = part.leading_fields if issubclass(part, Stored) else ()
    for name in dict.fromkeys((*leading, *properties)):
        told = properties[name]
        yield f"| `{name}` | {_type(told)} | {str(told['description']).replace(chr(10), ' ')} |"
    yield ""


def _title(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "$ref" in schema:
        return _link(str(schema["$ref"]).rpartition("/")[2])
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return ", ".join(f"`{value}`" for value in allowed) or _plain_type(schema)


def _plain_type(schema: Mapping[str, Any]) -> str:
    kind = str(schema["type"])
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {_type(schema['prefixItems'][0])}"
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object":
        return f"object: {_type(schema['additionalProperties'])} by name"
    return _WORDS[kind]


def _link(name: str) -> str:
    title = _title(name).lower()
    return "measure" if name == "Figure" else f"[{title}](#{title.replace(' ', '-')})"


def main() -> None:
    replace_file(PAGE, page().encode())
    show(f"{len(PARTS)} parts in {PAGE.name}")


if __name__ == "__main__":
    run(main)
