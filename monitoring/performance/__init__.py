"""How good served predictions are: estimated, and realised once labels are known."""
