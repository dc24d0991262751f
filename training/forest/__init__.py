"""The forest: fitting, searching its shape, choosing its threshold, exporting it."""
