"""Commands that cross the rooms of the house: each starts the others' commands as a user would."""

import churn  # noqa: F401  # switches usage reporting off before a library is imported
