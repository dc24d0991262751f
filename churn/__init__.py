"""What training, service and monitoring agree on. Imports none of them."""

from typing import Final

from churn import usage_reporting

VERSION: Final = "0.1.0"

usage_reporting.switch_off()
