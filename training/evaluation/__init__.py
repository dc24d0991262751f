"""How well a forest does on rows it has not seen."""
