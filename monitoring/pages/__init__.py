"""The pages of the weekly report."""
