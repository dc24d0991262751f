"""Telling people and Prometheus about a report."""
