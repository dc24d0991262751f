"""One week of the prediction log, read for the report."""
