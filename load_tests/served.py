"""A service of the benchmarks' own: started on a free port, waited for, stopped."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from churn.server_process import ServerProcess, free_port, start, stopped_at_the_end

ROOT: Final = Path(__file__).parent.parent
BENTOML: Final = ("bentoml", "serve")
SERVICE: Final = (*BENTOML, "service:Churn")


def served(
    environment: Mapping[str, str], folder: Path, command: tuple[str, ...] = SERVICE, ready: str = "/readyz"
) -> AbstractContextManager[ServerProcess]:
    """Serve until the end of the block; what it says goes to a file in `folder`.

    Raises:
        ServerNotStartedError: it ended, or was not ready in time.
    """
    output = folder / f"{'-'.join(command).replace('/', '_')}.txt"
    return stopped_at_the_end(start(command, free_port(), environment, output=output), ready)
