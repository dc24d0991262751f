"""The weekly report, made."""
