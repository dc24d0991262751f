"""The model as stored: loading, scoring, explaining, and the pointer to the champion."""
