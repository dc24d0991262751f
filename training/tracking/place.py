"""The place where MLflow keeps the runs, and a check that it answers.

`MLFLOW_TRACKING_URI` names a server or a database; without it, runs go to `mlflow.db` in
the data folder.
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from churn.errors import TrackingError
from churn.settings import Setting, text

TRACKING_URI: Final = Setting("MLFLOW_TRACKING_URI", "", "Server or database that keeps the runs.")
DATABASE: Final = "mlflow.db"
ANSWER_SECONDS: Final = 5.0
"""How long a server may take to answer before training is refused."""

_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def tracking_uri(data: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or the file in the data folder."""
    return text(TRACKING_URI) or f"sqlite:///{(data / DATABASE).resolve()}"


def check_answers(uri: str) -> None:
    """Raise `TrackingError` when nothing answers at `uri` within seconds.

    MLflow itself would find out after minutes of retries.
    """
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        _check_server(uri)
        return
    dialect = parts.scheme.split("+")[0]
    if dialect in _PORTS:
        _check_port(uri, _PORTS[dialect])
    if dialect in {"sqlite", *_PORTS}:
        _check_database(uri)


def _check_server(uri: str) -> None:
    request = urllib.request.Request(uri.rstrip("/") + "/health")  # noqa: S310  # http and https only
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310  # as above
            return
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise TrackingError(without_password(uri), f"answers with status {error.code}") from error
    except (OSError, ValueError) as error:
        raise TrackingError(without_password(uri), f"does not answer ({getattr(error, 'reason', error)})") from error


def _check_port(uri: str, usual: int) -> None:
    try:
        parts = urlsplit(uri)
        socket.create_connection((parts.hostname or "localhost", parts.port or usual), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise TrackingError(without_password(uri), f"does not answer ({error})") from error


def _check_database(uri: str) -> None:
    import sqlalchemy as sa  # noqa: PLC0415  # comes with MLflow

    try:
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(uri)
        sa.inspect(engine).get_table_names()
        engine.dispose()
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise TrackingError(without_password(uri), f"cannot be opened ({_first_line(error, uri)})") from error


@contextmanager
def refusals(uri: str) -> Iterator[None]:
    """Turn errors of MLflow, its database or its file store into a `TrackingError`."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # slow to import
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # comes with MLflow

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(without_password(uri), _first_line(error, uri)) from error


def _first_line(error: BaseException, uri: str) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.replace(uri, without_password(uri))


def without_password(uri: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    return uri.replace(f":{parts.password}@", ":***@", 1)
