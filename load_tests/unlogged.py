"""The service without its prediction log, to measure what the log costs. Nothing else can switch it off."""

from unittest.mock import patch

import service
from serving.prediction_writer import PredictionLog


class Unlogged(PredictionLog):
    """Writes nothing."""

    def append(self, *_: object) -> None:
        """Keep nothing."""


patch.object(service, "PredictionLog", Unlogged).start()  # before the service opens its log
Churn = service.Churn
