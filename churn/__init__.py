"""What training, service and monitoring agree on. Imports none of them."""
