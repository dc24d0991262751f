"""One training run: from the training table to a model that is stored, evaluated and described."""
