"""A simulated music-streaming service whose true probabilities of leaving are known."""
