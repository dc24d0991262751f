"""The one listing of a folder of the prediction log."""

from pathlib import Path

from churn.prediction_log.names import is_log


def files(folder: Path) -> list[Path]:
    """The files of the log, oldest first; other files in the folder are not touched."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if is_log(path))
