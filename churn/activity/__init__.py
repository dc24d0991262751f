"""The raw activity log: read into typed events, then features and labels."""
