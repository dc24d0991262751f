"""The settings of the service, from the environment; a bad one is refused at start. `docs/api.md` lists them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from churn import settings
from churn.settings import CHAMPION, LOG_DIR, Environment, Setting
from serving.api_keys import ApiKeys, read_keys
from serving.limits import MAXIMUM_BODY

_MB: Final = 1024 * 1024
REQUEST_LOGS: Final = ("all", "errors", "none")

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
    "CHURN_MAX_HELD_MB",
    "32",
    "Megabytes of large bodies and unread answers a worker holds at a time; what exceeds them gets 429.",
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
    def read(cls, environment: Environment) -> "ServiceSettings":
        """Read from environment variables.

        Raises:
            SettingError: one is not what it can be.
        """
        return cls(
            log_folder=Path(settings.text(LOG_DIR, environment)),
            log_retention_days=settings.whole_number(LOG_RETENTION_DAYS, 0, 36_500, environment) or None,
            log_fsync=settings.switch(LOG_FSYNC, environment),
            workers=settings.whole_number(WORKERS, 1, 256, environment),
            threads=settings.whole_number(THREADS, 1, 256, environment),
            max_in_flight=settings.whole_number(MAX_IN_FLIGHT, 1, 10_000, environment),
            max_held=settings.whole_number(MAX_HELD_MB, MAXIMUM_BODY // _MB, 65_536, environment) * _MB,
            api_keys=ApiKeys(
                read_keys(settings.text(API_KEYS, environment), settings.path(API_KEYS_FILE, environment))
            ),
            protect_all=settings.switch(PROTECT_ALL, environment),
            request_log=settings.choice(REQUEST_LOG, REQUEST_LOGS, environment),
        )
