"""From the activity log to a stored model."""

import churn  # noqa: F401  # switches usage reporting off before a library is imported
