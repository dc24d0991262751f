"""All errors of the product, as one tree; each composes its message from the facts.

    ProductError
    ├── ChurnError                something a user can put right: commands print it
    │   ├── SettingError, …       the settings, the log, the model, the report, the tools
    ├── RefusalError              a request that HTTP refuses: no command prints it
    └── NativeUnavailableError    the slower way is taken instead

`tests/churn/test_errors.py` holds that no error is defined elsewhere.
"""

from collections.abc import Iterable, Sequence


class ProductError(Exception):
    """The root of the tree; raised as one of its branches only."""


class ChurnError(ProductError):
    """Something a user can put right; commands print the message and exit with 1."""


class RefusalError(ProductError):
    """A request that is refused over HTTP; `serving.refusals.RequestError` says with which status and body."""


class NativeUnavailableError(ProductError):
    """The kernel cannot be used here; NumPy computes the same, more slowly."""


class SettingError(ChurnError):
    """A setting is out of its range."""

    def __init__(self, name: str, found: object, expected: str) -> None:
        super().__init__(f"{name}={found!r}: expected {expected}")


class RenamedSettingError(SettingError):
    """A setting is in the environment by the name it had before; its value counts for nothing."""

    def __init__(self, old: str, new: str) -> None:
        ChurnError.__init__(self, f"{old} is set in the environment; this setting is {new} now: rename it, or unset it")


class StoredFileError(ChurnError):
    """A file that one of our own commands wrote is damaged."""

    def __init__(self, path: object, problems: Iterable[str], remedy: str) -> None:
        super().__init__(f"{path} is damaged: {'; '.join(problems)}; {remedy}")


class EventLogError(ChurnError):
    """The activity log cannot be read, or is not such a log."""


class ServerError(ChurnError):
    """BentoML or uvicorn no longer takes the bounds of the service's connections."""

    def __init__(self, owner: object, missing: list[str]) -> None:
        name = getattr(owner, "__qualname__", None) or getattr(owner, "name", owner)
        super().__init__(
            f"{name} has no {', '.join(missing)}; install the locked versions, or change serving/server.py"
        )


class NotEnoughDataError(ChurnError):
    """The log is too short, or has too few customers or churners, for what was asked."""


class TruthError(ChurnError):
    """The file of true probabilities does not fit the log."""


class PrecisionTargetError(ChurnError):
    """No threshold can be promised to reach the precision asked for.

    `best` is the threshold with the highest precision that can be promised; None where
    too few customers are known to promise anything.
    """

    def __init__(self, message: str, best: float | None) -> None:
        super().__init__(message)
        self.best = best


class AutoGluonMissingError(ChurnError):
    """AutoGluon is not installed."""

    def __init__(self) -> None:
        super().__init__("AutoGluon is not installed; install the dependency group `select`")


class TrackingError(ChurnError):
    """The place that runs are tracked in does not answer, or refuses; `place` holds no password."""

    def __init__(self, place: str, found: str) -> None:
        super().__init__(
            f"MLflow at {place}: {found}; set MLFLOW_TRACKING_URI to one that answers, "
            "or train without tracking: CHURN_MLFLOW=off"
        )


class ModelStoreError(ChurnError):
    """The model, or the pointer to it, is missing."""


class ArtifactError(ChurnError):
    """A stored model is not what its manifest says."""


class ContractMismatchError(ChurnError):
    """The stored model was made for another feature contract."""

    def __init__(self, model: str, missing: set[str], unexpected: set[str], found: str, expected: str) -> None:
        super().__init__(
            f"{model}: made for contract {found}, this code has {expected} "
            f"(missing {sorted(missing)}, unexpected {sorted(unexpected)}); make a model for this code with "
            "`make train PROMOTE=1`, or run the code that made this one"
        )


class KernelBuildError(ChurnError):
    """The kernel cannot be built, or is not the reviewed one."""


class BentoBuildError(ChurnError):
    """The bento was not built."""


class EngineError(ChurnError):
    """No container engine, or it failed."""


class ImageError(ChurnError):
    """The image was not built, or cannot be started."""


class DemoError(ChurnError):
    """A step of the demo failed."""


class ServerNotStartedError(ChurnError):
    """A server that we started ended, or was not ready in time."""

    def __init__(self, command: Sequence[str], said: str) -> None:
        told = f"it said:\n{said[-4000:]}" if said else "its message is above"
        super().__init__(f"`{' '.join(command)}` did not start; {told}")


class PredictionLogError(ChurnError):
    """The prediction log cannot be written or read."""


class DamagedArchiveError(PredictionLogError):
    """A packed file of the prediction log cannot be unpacked."""

    def __init__(self, file: object, why: str) -> None:
        self.why = why
        super().__init__(f"{file}: cannot be unpacked: {why}; replace it by a sound copy, or move it out of the folder")


class ReportError(ChurnError):
    """The drift report cannot be made."""


class ChannelError(ChurnError):
    """A message about the report could not be delivered."""


class TreatmentsError(ChurnError):
    """The file of who got an offer is not one."""

    def __init__(self, file: object, place: str, field: str, found: object, expected: str) -> None:
        super().__init__(f"{file}: {place}: {field}: found {found!r}, expected {expected}")
