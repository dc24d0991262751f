"""What happens after a prediction: the log of predictions, the drift decision, the weekly report."""
