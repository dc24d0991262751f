"""How good predictions are: measures, intervals, paired differences."""
