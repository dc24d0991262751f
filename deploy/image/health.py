"""The health check of the image: 0 when the service is ready to answer."""

import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 3000}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return 0 if answer.status == 200 else 1
    except urllib.error.URLError as error:
        sys.stderr.write(f"{url}: {error.reason}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
