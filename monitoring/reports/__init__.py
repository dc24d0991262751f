"""Folders of the weekly reports, and their summaries."""
