"""The folder of the reports: one sub-folder a week, replaced in one step, and read back."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from churn.errors import ReportError, SettingError
from churn.files import whole_folder
from monitoring.findings.summary import Summary
from monitoring.reports.week import Week

DRIFT: Final = "drift.html"
MANAGER: Final = "manager.html"
SUMMARY: Final = "summary.json"
AT_RISK: Final = "at_risk.csv"
COLUMNS: Final = "columns.parquet"
INDEX: Final = "index.html"
CUSTOMER: Final = "customer-"
"""How the names of the pages of customers begin."""


def is_private(name: str) -> bool:
    """True for a file with customer ids: mode 0600."""
    return name == AT_RISK or name.startswith(CUSTOMER)


@dataclass(frozen=True)
class ReportFolder:
    """The folder over all weeks."""

    path: Path

    def week(self, week: Week) -> Path:
        return self.path / str(week)

    def replace_week(self, week: Week, files: Mapping[str, bytes]) -> Path:
        """Write a week's files beside the old ones and swap the folders.

        A reader finds the old report or the new one, whole; so does the next run after a
        crash. Of two runs at once, the last one to finish stays.

        Raises:
            ReportError: the folder cannot be written.
        """
        with self._explained():
            self.path.mkdir(parents=True, exist_ok=True)
            with self._locked():
                return self._replace(week, files)

    def change(
        self,
        week: Week,
        name: str,
        edit: Callable[[bytes], bytes],
        derived: Callable[[bytes], Mapping[str, bytes]] = lambda _: {},
    ) -> None:
        """Replace one file of a week's report by what `edit` makes of it; the others stay as they are.

        `derived` makes those that follow from the new content; all of them appear in one step.

        Raises:
            ReportError: there is no such file, or the folder cannot be written.
        """
        with self._explained(), self._locked():
            kept = {path.name: path.read_bytes() for path in self.week(week).iterdir() if path.is_file()}
            if name not in kept:
                raise ReportError(f"{self.week(week)} has no {name}; make the report of this week again")
            content = edit(kept[name])
            self._replace(week, {**kept, name: content, **derived(content)})

    def _replace(self, week: Week, files: Mapping[str, bytes]) -> Path:
        target = self.week(week)
        with whole_folder(target) as fresh:
            for name, content in files.items():
                (fresh / name).write_bytes(content)
                (fresh / name).chmod(0o600 if is_private(name) else 0o644)
        return target

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, so that nobody puts back what another has just replaced."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def read(self, week: Week, name: str) -> bytes | None:
        """One file of a week's report; None when there is none."""
        try:
            return (self.week(week) / name).read_bytes()
        except FileNotFoundError:
            return None

    def summaries(self, tell: Callable[[str], object] = lambda _: None) -> dict[Week, Summary]:
        """The summary of each week that has a report; `tell` hears of those that are damaged, which are left out."""
        found = {}
        for path in self.path.glob(f"*/{SUMMARY}"):
            try:
                week = Week.parse(path.parent.name)
            except SettingError:
                continue  # not a week's folder
            try:
                found[week] = Summary.read(path.read_bytes(), path)
            except ReportError as error:
                tell(f"no report of week {week}: {error}")
            except OSError as error:
                tell(f"no report of week {week}: {path}: {error.strerror or error}")
        return dict(sorted(found.items()))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReportError(f"the report cannot be written: {self.path}: {error.strerror or error}") from error
