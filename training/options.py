"""Options of the training commands: each a flag, or an environment variable that begins with `CHURN_`.

`make train SEED=5` sets `CHURN_SEED` for the command. A variable of the old name, without the prefix,
is refused: what somebody's environment calls `SEED` must neither change a model nor be passed over.
"""

import argparse
from collections.abc import Sequence
from typing import Final, TypeVar

from churn.errors import RenamedSettingError, SettingError
from churn.settings import Setting, given, text

PREFIX: Final = "CHURN_"
SETTINGS: Final = (
    "LABEL",
    "HORIZON_DAYS",
    "SEED",
    "SEARCH",
    "TREES",
    "DEPTH",
    "LEAF",
    "WITHOUT",
    "POLICY",
    "TARGET_PRECISION",
    "FALLBACK_POLICY",
    "OFFER_COST",
    "KEPT_VALUE",
    "SUCCESS_RATE",
    "TOP_SHARE",
    "PROMOTE",
    "MLFLOW",
    "TIME_LIMIT",
    "PROTOCOL",
    "SPLITS",
)
"""The make variables that the Makefile hands on with the prefix."""

Value = TypeVar("Value", int, float, str)
_EXPECTED: Final = {int: "a whole number", float: "a number", str: "a text"}


def add_option(
    parser: argparse.ArgumentParser, name: str, kind: type[Value], default: Value | None, meaning: str
) -> None:
    """The option `--target-precision`; without the flag, `CHURN_TARGET_PRECISION` counts, then the default.

    Raises:
        SettingError: the variable is not of this kind.
    """
    setting = Setting(PREFIX + name.replace("-", "_").upper(), "", meaning)
    found = text(setting)
    try:
        value = kind(found) if found else default
    except ValueError as error:
        raise SettingError(setting.name, found, _EXPECTED[kind]) from error
    parser.add_argument(f"--{name}", type=kind, default=value, help=meaning)


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line.

    Raises:
        RenamedSettingError: the environment has a setting by its old name.
    """
    parsed = parser.parse_args(arguments)
    refuse_old_names()
    return parsed


def refuse_old_names() -> None:
    """Raise RenamedSettingError when a setting is in the environment without the prefix."""
    for name in SETTINGS:
        if given(Setting(name, "", "")):
            raise RenamedSettingError(name, PREFIX + name)
