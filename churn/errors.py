"""The error tree: one class per thing a user can put right."""

from collections.abc import Sequence


class ChurnError(Exception):
    """Something a user can put right; commands print the message and exit with 1."""


class EventLogError(ChurnError):
    """The activity log cannot be read, or is not such a log."""


class SettingError(ChurnError):
    """A setting is out of its range."""

    def __init__(self, name: str, found: object, expected: str) -> None:
        super().__init__(f"{name}={found!r}: expected {expected}")


class NotEnoughDataError(ChurnError):
    """The log is too short, or has too few customers or churners, for what was asked."""


class ModelStoreError(ChurnError):
    """The model, or the pointer to it, is missing."""


class ArtifactError(ChurnError):
    """A stored model is not what its manifest says."""


class ContractMismatchError(ChurnError):
    """The stored model was made for another feature contract."""

    def __init__(self, model: str, missing: set[str], unexpected: set[str], found: str, expected: str) -> None:
        super().__init__(
            f"{model}: made for contract {found}, this code has {expected} "
            f"(missing {sorted(missing)}, unexpected {sorted(unexpected)}); retrain or pin an older version"
        )


class ServerNotStartedError(ChurnError):
    """A server that we started ended, or was not ready in time."""

    def __init__(self, command: Sequence[str], said: str) -> None:
        told = f"it said:\n{said[-4000:]}" if said else "its message is above"
        super().__init__(f"`{' '.join(command)}` did not start; {told}")


class PredictionLogError(ChurnError):
    """The prediction log cannot be written or read."""


class ReportError(ChurnError):
    """The drift report cannot be made."""


class ChannelError(ChurnError):
    """A message about the report could not be delivered."""


class TreatmentsError(ChurnError):
    """The file of who got an offer is not one."""

    def __init__(self, file: object, place: str, field: str, found: object, expected: str) -> None:
        super().__init__(f"{file}: {place}: {field}: found {found!r}, expected {expected}")
