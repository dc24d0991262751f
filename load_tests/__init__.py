"""Load, timings and measurements of the product from outside."""

import churn  # noqa: F401  # switches usage reporting off before a library is imported
