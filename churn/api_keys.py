"""Who may call: API keys from the environment or a file, compared in constant time and never logged."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from churn.api_models import Problem, RequestError
from churn.errors import SettingError

SHORTEST_KEY: Final = 16
_BEARER: Final = b"bearer "


class ApiKeys:
    """The keys in use. Several, so that one can be replaced while callers change over; none lets everybody in."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take the keys.

        Raises:
            SettingError: one is too short to be secret.
        """
        given = list(keys)
        if any(len(key) < SHORTEST_KEY for key in given):
            raise SettingError("CHURN_API_KEYS", "…", f"keys of at least {SHORTEST_KEY} characters")
        self._digests = [_digest(key.encode()) for key in given]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Let pass who has a key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

        Raises:
            RequestError: 401.
        """
        if not self._digests:
            return
        found = _digest(_given(headers))
        if not any([hmac.compare_digest(found, digest) for digest in self._digests]):  # noqa: C419  # always compares all
            wanted = Problem(loc=["authorization"], msg="send `Authorization: Bearer KEY` or `X-API-Key: KEY`")
            raise RequestError(401, "the API key is missing or wrong", [wanted])


def read_keys(text: str, path: Path | None) -> list[str]:
    """Keys from a comma-separated text and from a file, one a line; `#` begins a comment.

    Raises:
        SettingError: the file cannot be read, or holds no key.
    """
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if path is None:
        return keys
    try:
        lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("CHURN_API_KEYS_FILE", str(path), "a file that can be read") from error
    if not any(lines):
        raise SettingError("CHURN_API_KEYS_FILE", str(path), "a file with a key on a line")
    return keys + [line for line in lines if line]


def _given(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get(b"x-api-key", b"")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
