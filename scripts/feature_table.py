"""`make docs`: the table of features in the documentation, from the contract."""

from pathlib import Path
from typing import Final

from churn.command import run, show
from churn.contract import CONTRACT_VERSION, FEATURES, Feature
from churn.files import replace_file

PAGE: Final = Path(__file__).parent.parent / "docs" / "features.md"


def page() -> str:
    """The whole page; a test compares it with the file."""
    head = f"""# Features

Made from `churn/contract.py` by `make docs`. Contract {CONTRACT_VERSION}, {len(FEATURES)} features. Every one describes
a customer at a moment, `as_of`, and counts only what happened before it. The service takes exactly these, under these
names. Bounds are inclusive; what the log shows above a bound is capped at it.

| feature | type | values | null | what it says |
|---|---|---|---|---|
"""
    return head + "\n".join(_row(feature) for feature in FEATURES) + "\n"


def _row(feature: Feature) -> str:
    kind = {"count": "integer", "real": "number", "category": "text"}[feature.kind]
    null = "yes" if feature.nullable else "no"
    return f"| `{feature.name}` | {kind} | {_values(feature)} | {null} | {feature.description} |"


def _values(feature: Feature) -> str:
    if feature.categories:
        return ", ".join(f"`{category}`" for category in feature.categories)
    return "any, 64 characters at most" if feature.is_category else f"{feature.minimum:g} to {feature.maximum:,.0f}"


def main() -> None:
    replace_file(PAGE, page().encode())
    show(f"{len(FEATURES)} features in {PAGE.name}")


if __name__ == "__main__":
    run(main)
