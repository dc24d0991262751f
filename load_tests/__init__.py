"""What loads, times and measures the product from outside."""
