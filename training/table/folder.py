"""The data folder that the commands write to, and the facts of the table in it."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from churn.activity.dataset_facts import FILE, LogFacts, TableFacts, log_facts, table_facts
from churn.files import replace_file, whole_folder

EVENTS: Final = "events.parquet"
TRAINING: Final = "training.parquet"
NEWEST: Final = "newest.parquet"
REQUESTS: Final = "requests"


@dataclass(frozen=True)
class DataFolder:
    """The data folder of one run; two runs at once need two folders."""

    path: Path

    @property
    def events(self) -> Path:
        return self.path / EVENTS

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        replace_file(self.path / name, parquet_bytes(table), mode=0o600)

    def write_facts(self, facts: LogFacts) -> None:
        replace_file(self.path / FILE, (json.dumps(facts.model_dump(mode="json"), indent=1) + "\n").encode())

    def training_table(self) -> tuple[pd.DataFrame, TableFacts]:
        """The labelled rows and the facts about them.

        Raises:
            NotEnoughDataError: there are none; says what the log would need.
            StoredFileError: the facts are damaged.
        """
        facts = table_facts(self.path)
        return pd.read_parquet(self.path / TRAINING), facts

    def newest_table(self) -> pd.DataFrame:
        """The newest features.

        Raises:
            NotEnoughDataError: `make featurize` has not run.
            StoredFileError: the facts are damaged.
        """
        log_facts(self.path)
        return pd.read_parquet(self.path / NEWEST)

    def drop_training_table(self) -> None:
        """Leave no table of another log behind."""
        (self.path / TRAINING).unlink(missing_ok=True)

    def write_requests(self, bodies: Iterable[bytes]) -> list[Path]:
        """Replace the request bodies: `requests/customers-0001.json` and on."""
        target, names = self.path / REQUESTS, []
        with whole_folder(target, mode=0o700) as folder:
            for number, body in enumerate(bodies, 1):
                names.append(f"customers-{number:04d}.json")
                (folder / names[-1]).write_bytes(body)
        return [target / name for name in names]


def parquet_bytes(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()
