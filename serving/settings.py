"""The settings of the service, from the environment; a bad one is refused at start. `docs/api.md` lists them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from churn.errors import SettingError
from serving.api_keys import ApiKeys, read_keys
from serving.limits import MAXIMUM_BODY

_MB: Final = 1024 * 1024
REQUEST_LOGS: Final = ("all", "errors", "none")


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
LOG_RETENTION_DAYS: Final = Setting(
    "CHURN_LOG_RETENTION_DAYS", "400", "Days after which a day's predictions are deleted; 0 keeps them all."
)
LOG_FSYNC: Final = Setting(
    "CHURN_LOG_FSYNC", "0", "1 waits for the disk before every answer, so that a power loss loses none either."
)
WORKERS: Final = Setting("CHURN_WORKERS", "1", "Worker processes; each writes log files of its own.")
THREADS: Final = Setting("CHURN_THREADS", "2", "Threads a worker explains a batch with.")
MAX_IN_FLIGHT: Final = Setting(
    "CHURN_MAX_IN_FLIGHT", "64", "Requests a worker takes at a time; the next ones get 429 at once."
)
MAX_HELD_MB: Final = Setting(
    "CHURN_MAX_HELD_MB", "32", "Megabytes of request bodies a worker holds at a time; what exceeds them gets 429."
)
API_KEYS: Final = Setting(
    "CHURN_API_KEYS", "", "Keys that open the APIs and their documents, separated by commas; none lets everybody in."
)
API_KEYS_FILE: Final = Setting("CHURN_API_KEYS_FILE", "", "A file with such keys, one a line; read at start.")
PROTECT_ALL: Final = Setting("CHURN_PROTECT_ALL", "0", "1 wants a key for `/livez`, `/readyz` and `/metrics` as well.")
REQUEST_LOG: Final = Setting(
    "CHURN_REQUEST_LOG",
    "errors",
    "Which requests get a JSON line on stderr: `all`, `errors` (status 500 and more), `none`.",
)

SETTINGS: Final = (
    CHAMPION,
    LOG_DIR,
    LOG_RETENTION_DAYS,
    LOG_FSYNC,
    WORKERS,
    THREADS,
    MAX_IN_FLIGHT,
    MAX_HELD_MB,
    API_KEYS,
    API_KEYS_FILE,
    PROTECT_ALL,
    REQUEST_LOG,
)


@dataclass(frozen=True)
class ServiceSettings:
    """The settings, read and checked.

    Attributes:
        log_folder: where the prediction log goes.
        log_retention_days: None keeps everything.
        log_fsync: wait for the disk before every answer.
        workers: worker processes.
        threads: threads for explaining, in each worker.
        max_in_flight: requests at a time, in each worker.
        max_held: bytes of request bodies at a time, in each worker.
        api_keys: none lets everybody in.
        protect_all: whether probes and metrics want a key as well.
        request_log: which requests get a line.
    """

    log_folder: Path
    log_retention_days: int | None
    log_fsync: bool
    workers: int
    threads: int
    max_in_flight: int
    max_held: int
    api_keys: ApiKeys
    protect_all: bool
    request_log: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "ServiceSettings":
        """Read from environment variables.

        Raises:
            SettingError: one is not what it can be.
        """
        return cls(
            log_folder=Path(_text(environment, LOG_DIR)),
            log_retention_days=_number(environment, LOG_RETENTION_DAYS, 0, 36_500) or None,
            log_fsync=_switch(environment, LOG_FSYNC),
            workers=_number(environment, WORKERS, 1, 256),
            threads=_number(environment, THREADS, 1, 256),
            max_in_flight=_number(environment, MAX_IN_FLIGHT, 1, 10_000),
            max_held=_number(environment, MAX_HELD_MB, MAXIMUM_BODY // _MB, 65_536) * _MB,
            api_keys=ApiKeys(read_keys(_text(environment, API_KEYS), _path(environment, API_KEYS_FILE))),
            protect_all=_switch(environment, PROTECT_ALL),
            request_log=_choice(environment, REQUEST_LOG, REQUEST_LOGS),
        )


def _text(environment: Mapping[str, str], setting: Setting) -> str:
    return environment.get(setting.name) or setting.default


def _path(environment: Mapping[str, str], setting: Setting) -> Path | None:
    text = _text(environment, setting)
    return Path(text) if text else None


def _choice(environment: Mapping[str, str], setting: Setting, choices: tuple[str, ...]) -> str:
    text = _text(environment, setting)
    if text not in choices:
        raise SettingError(setting.name, text, f"one of {', '.join(choices)}")
    return text


def _number(environment: Mapping[str, str], setting: Setting, minimum: int, maximum: int) -> int:
    text = _text(environment, setting)
    if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
        raise SettingError(setting.name, text, f"a whole number from {minimum} to {maximum}")
    return int(text)


def _switch(environment: Mapping[str, str], setting: Setting) -> bool:
    text = _text(environment, setting)
    if text not in {"0", "1"}:
        raise SettingError(setting.name, text, "0 or 1")
    return text == "1"
