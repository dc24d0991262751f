"""`python -m monitoring.prediction_log erase`, the name this command has had: the same as in `churn.prediction_log`."""

from churn.command import run
from churn.prediction_log.__main__ import main

if __name__ == "__main__":
    run(main)
