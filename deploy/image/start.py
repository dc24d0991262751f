"""Entry point of the container: say where the prediction log goes, then become the service."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

BENTO: Final = "/app/bento"
VOLUME: Final = Path("/predictions")
WITHOUT_A_VOLUME: Final = Path("/tmp/predictions")  # noqa: S108  # the only place that is always writable
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
MOUNTS: Final = Path("/proc/self/mountinfo")


def outlives_the_container(folder: Path, mounts: Iterable[str]) -> bool:
    """Return true if a folder lies on a volume, by the lines of `/proc/self/mountinfo` (proc(5)).

    The last mount whose point is the folder or above it decides; the container's own root
    and memory are gone when it is.
    """
    point, kind = Path("/"), ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        found = Path(before.split()[4].replace("\\040", " "))
        if folder.is_relative_to(found) and len(found.parts) >= len(point.parts):
            point, kind = found, after.split()[0]
    return point != Path("/") and kind not in IN_MEMORY


def log_folder(wanted: str | None, mounts: Iterable[str]) -> tuple[Path, bool]:
    """Choose the log's folder and say whether it is kept: `CHURN_LOG_DIR`, else the volume, else a temporary folder."""
    mounts = list(mounts)
    folder = Path(wanted) if wanted else VOLUME
    kept = outlives_the_container(folder.absolute(), mounts)
    return (folder if kept or wanted else WITHOUT_A_VOLUME), kept


def main() -> None:
    """Replace this process, so that signals reach the service."""
    folder, kept = log_folder(os.environ.get("CHURN_LOG_DIR"), MOUNTS.read_text().splitlines())
    sys.stderr.write(f"prediction log: {folder}\n")
    if not kept:
        sys.stderr.write(f"WARNING: it is lost with the container; mount a volume at {VOLUME} to keep it\n")
    os.environ["CHURN_LOG_DIR"] = str(folder)
    port = os.environ.get("PORT") or "3000"
    os.execvp("bentoml", ["bentoml", "serve", BENTO, "--host", "0.0.0.0", "--port", port])  # noqa: S104, S606, S607  # a container answers from outside itself; its PATH is its own


if __name__ == "__main__":
    main()
