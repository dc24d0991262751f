"""Between the socket and the model: requests, limits, answers, and the service's own log and metrics."""
