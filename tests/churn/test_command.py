import argparse

import pytest

from churn.command import add_address
from churn.errors import SettingError


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_address(parser, 5000)
    return parser.parse_args(options)


def test_pages_are_shown_to_this_machine_only_unless_asked() -> None:
    assert vars(parsed()) == {"host": "127.0.0.1", "port": 5000}
    assert vars(parsed("--host", "0.0.0.0", "--port", "65535")) == {"host": "0.0.0.0", "port": 65535}


@pytest.mark.parametrize("port", ["0", "65536", "http", "٣"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(SettingError, match="1 to 65535"):
        parsed("--port", port)
