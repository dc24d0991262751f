"""What needs a container engine: `make test-container`."""
