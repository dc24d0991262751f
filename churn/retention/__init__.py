"""Texts about a customer for the retention team; serving needs none of them."""
