"""Settings from environment variables: one reader for each kind; a bad value is refused by name.

Only this module and the commands look into the environment. An empty variable means the default.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from churn.errors import SettingError

Environment = Mapping[str, str]
ENVIRONMENT: Final[Environment] = os.environ
"""That of this process, for what is told which one to read."""
Choice = TypeVar("Choice", bound=str)

LAST_PORT: Final = 65_535
_LONGEST_NUMBER: Final = 20
"""Digits; Python refuses to read thousands of them."""


@dataclass(frozen=True)
class Setting:
    """One environment variable. `default` is what is meant when it is empty or not set."""

    name: str
    default: str
    meaning: str


CHAMPION: Final = Setting(
    "CHURN_CHAMPION", "champion.json beside service.py", "Pointer to the model that is served: exact tag and sha256."
)
LOG_DIR: Final = Setting("CHURN_LOG_DIR", "data/predictions", "Folder of the prediction log.")


def given(setting: Setting, environment: Environment = ENVIRONMENT) -> str:
    """The variable's value, without the default; empty when it is not set."""
    return environment.get(setting.name, "")


def text(setting: Setting, environment: Environment = ENVIRONMENT) -> str:
    return given(setting, environment) or setting.default


def set_for_libraries(values: Mapping[str, str], *, unless_set: bool = False) -> None:
    """Set environment variables that libraries read when they are imported; with `unless_set` those that are empty."""
    for name, value in values.items():
        if not (unless_set and os.environ.get(name)):
            os.environ[name] = value


def changed_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment for another process: ours with `changes`; None takes a variable away."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def path(setting: Setting, environment: Environment = ENVIRONMENT) -> Path | None:
    """None when there is no value and no default."""
    found = text(setting, environment)
    return Path(found) if found else None


def choice(setting: Setting, choices: tuple[Choice, ...], environment: Environment = ENVIRONMENT) -> Choice:
    """One of `choices`.

    Raises:
        SettingError: it is none of them.
    """
    found = text(setting, environment)
    for one in choices:
        if one == found:
            return one
    raise SettingError(setting.name, found, f"one of {', '.join(choices)}")


def whole_number(setting: Setting, minimum: int, maximum: int, environment: Environment = ENVIRONMENT) -> int:
    """A whole number from `minimum` to `maximum`; raises SettingError."""
    return parsed_whole_number(setting.name, text(setting, environment), minimum, maximum)


def parsed_whole_number(name: str, found: str, minimum: int, maximum: int) -> int:
    """The number that `found` says, in plain digits.

    Raises:
        SettingError: it is not a whole number, or is out of the range.
    """
    digits = found.isascii() and found.isdigit() and len(found) <= _LONGEST_NUMBER
    if not digits or not minimum <= int(found) <= maximum:
        raise SettingError(name, found, f"a whole number from {minimum} to {maximum}")
    return int(found)


def switch(setting: Setting, environment: Environment = ENVIRONMENT) -> bool:
    """`1` is on and `0` is off; raises SettingError at anything else."""
    found = text(setting, environment)
    if found not in {"0", "1"}:
        raise SettingError(setting.name, found, "0 or 1")
    return found == "1"
