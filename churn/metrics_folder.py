"""A folder for the metrics of each running service, through which its workers add up their counts.

BentoML has one for all services of a `BENTOML_HOME`, and empties it whenever one starts: the
metrics of a service that was running already would end there, without a word.
"""

import atexit
import secrets
import shutil
import tempfile
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer


def use_own_folder() -> None:
    """Let BentoML make a new folder when it serves; it is removed when the process ends.

    For the process that starts the workers; in a worker the folder is already chosen.
    """
    folder = Path(tempfile.gettempdir(), f"churn-metrics-{secrets.token_hex(8)}")
    BentoMLContainer.prometheus_multiproc_dir.set(str(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
