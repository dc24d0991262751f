"""The health check of the image: 0 when the service is ready to answer."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path


def key(environment: Mapping[str, str]) -> str:
    """One of the service's own keys, for `CHURN_PROTECT_ALL`; empty when there are none."""
    file = environment.get("CHURN_API_KEYS_FILE")
    lines = Path(file).read_text(encoding="utf-8-sig").splitlines() if file else []
    keys = [*environment.get("CHURN_API_KEYS", "").split(","), *(line.split("#")[0] for line in lines)]
    return next((found.strip() for found in keys if found.strip()), "")


def main() -> int:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 3000}/readyz"
    request = urllib.request.Request(url, headers={"X-API-Key": key(os.environ)})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  # the address is ours
            return 0 if answer.status == 200 else 1
    except urllib.error.URLError as error:
        sys.stderr.write(f"{url}: {error.reason}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
