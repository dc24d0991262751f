"""From the activity log to a stored model."""
