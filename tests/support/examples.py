"""The number of examples that a property of a test is tried on: fewer by default, all in `make test-thorough`."""

from typing import Final

from hypothesis import settings

_OF_A_HUNDRED: Final = {"quick": 25, "thorough": 100}
_ALWAYS: Final = 10
"""Examples that are cheap enough for every run, where a test asks for as many."""


def register_profiles() -> None:
    """Make both profiles known to Hypothesis, whose `--hypothesis-profile` chooses one; quick without it."""
    for name, count in _OF_A_HUNDRED.items():
        settings.register_profile(name, max_examples=count, deadline=None)
    settings.load_profile("quick")


def examples(thorough: int) -> settings:
    """Settings of a test that is tried on `thorough` examples in a thorough run, on a quarter of them otherwise."""
    part = thorough * settings().max_examples // 100
    return settings(max_examples=max(part, min(thorough, _ALWAYS)), deadline=None)
