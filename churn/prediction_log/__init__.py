"""The prediction log: one JSON line for each customer scored. Standard library and orjson only."""
