"""What needs a system package: `make test-system`."""
