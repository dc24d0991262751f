"""What training, service and monitoring agree on. Imports none of them."""

from typing import Final

VERSION: Final = "0.1.0"
"""Of the product, as in `pyproject.toml`."""
