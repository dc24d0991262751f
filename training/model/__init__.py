"""A trained model on its way into the model store."""
