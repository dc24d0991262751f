"""The agreements of training, service and monitoring. The package imports none of them."""

from typing import Final

from churn import usage_reporting

VERSION: Final = "0.1.0"

usage_reporting.switch_off()
