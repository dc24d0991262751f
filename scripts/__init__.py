"""Commands that cross the rooms of the house: each starts the others' commands as a user would."""
