"""The types of what monitoring finds: drift, performance, and the summary of a week."""
