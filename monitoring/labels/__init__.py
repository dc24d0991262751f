"""Labels that arrive late, and the weeks they complete."""
