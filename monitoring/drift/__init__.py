"""Whether the served customers differ from those of the training reference."""
