"""API keys from the environment or a file, compared in constant time and never logged."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from churn.errors import SettingError
from serving.api import Problem
from serving.refusals import RequestError

SHORTEST_KEY: Final = 16
_BEARER: Final = b"bearer "


class ApiKeys:
    """The keys in use. Several, so that one can be replaced while callers change over; none lets everybody in."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

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
        SettingError: the file cannot be read, one of the two is given and holds no key, or a key is too short to be
            secret.
    """
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if text and not keys:
        raise SettingError("CHURN_API_KEYS", text, "keys separated by commas, or nothing at all")
    _check_length("CHURN_API_KEYS", keys)
    return keys if path is None else keys + _in_file(path)


def _check_length(setting: str, keys: Iterable[str]) -> None:
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise SettingError(setting, "…", f"keys of at least {SHORTEST_KEY} characters")


def _in_file(path: Path) -> list[str]:
    try:
        lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("CHURN_API_KEYS_FILE", str(path), "a file that can be read") from error
    keys = [line for line in lines if line]
    if not keys:
        raise SettingError("CHURN_API_KEYS_FILE", str(path), "a file with a key on a line")
    _check_length("CHURN_API_KEYS_FILE", keys)
    return keys


def _given(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get(b"x-api-key", b"")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
