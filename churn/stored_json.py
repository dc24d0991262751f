"""A Pydantic model in a JSON file: damage is told by file and field, never by the values found."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from churn.errors import StoredFileError

Stored = TypeVar("Stored", bound=BaseModel)


def read_json(path: Path, model: type[Stored], remedy: str) -> Stored:
    """Read a file that one of our commands wrote.

    Args:
        path: an existing file.
        model: its type.
        remedy: what the user can do about a damaged file, such as "run `make featurize`".

    Raises:
        StoredFileError: the file is not JSON, or a field is missing or of another type.
        FileNotFoundError: there is no file.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StoredFileError(path, _problems(error), remedy) from error


def _problems(error: ValidationError) -> Iterable[str]:
    """Each problem with its field; the values are left out, since a file may hold customers' data."""
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(map(str, problem["loc"]))
        yield f"{field}: {problem['msg']}" if field else problem["msg"]
