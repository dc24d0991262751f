"""The training table: snapshots of the log, divided by time and customer."""
