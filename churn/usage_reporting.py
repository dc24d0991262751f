"""Usage reporting of the libraries, switched off before any of them is imported.

`churn/__init__.py` calls `switch_off`, and every other room imports `churn` first. So no command, and no
`bentoml serve` typed by hand, reports anything to a library's vendor.
"""

import sys
from typing import Final

from churn.settings import set_for_libraries

SWITCHES: Final = {
    "DO_NOT_TRACK": "1",  # Evidently, Prefect's client
    "BENTOML_DO_NOT_TRACK": "true",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "ITERATIVE_DO_NOT_TRACK": "true",  # the library that Evidently reports with
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime reads it once, when it is imported
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Environment variables, each with the value that switches a library's reporting off."""

REPORTING: Final = frozenset({"autogluon", "bentoml", "evidently", "mlflow", "onnxruntime", "prefect"})
"""Packages that report usage, or depend on one that does."""

_BENTOML: Final = "bentoml._internal.utils.analytics.usage_stats"


def switch_off() -> None:
    """Set every switch, whatever the environment says."""
    set_for_libraries(SWITCHES)
    # `bentoml serve` has asked before our code is loaded, and remembers the answer.
    asked = sys.modules.get(_BENTOML)
    if asked is not None:
        asked.do_not_track.cache_clear()
