"""Monitoring of predictions: their log, the drift decision, the weekly report."""

import churn  # noqa: F401  # switches usage reporting off before a library is imported
