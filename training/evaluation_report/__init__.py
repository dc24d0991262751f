"""The report of `make evaluate`."""
