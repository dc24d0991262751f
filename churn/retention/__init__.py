"""What the retention team is told of a customer; serving needs none of it."""
