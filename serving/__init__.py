"""Between the socket and the model: requests, limits, answers, and the service's own log and metrics."""

import churn  # noqa: F401  # switches usage reporting off before a library is imported
