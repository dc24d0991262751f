"""Model families side by side."""
