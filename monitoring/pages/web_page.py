"""Our own HTML pages from templates that escape everything: no script, readable on a phone, light or dark."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import jinja2

from monitoring.drift.wording import plain
from monitoring.findings.drift import Severity, Verdict

TEMPLATES: Final = Path(__file__).parent / "templates"

Tone = Literal["ok", "warning", "drift", "too-few", "missing"]

_SIGNS: Final[dict[Tone, str]] = {"ok": "✓", "warning": "!", "drift": "▲", "too-few": "?", "missing": "–"}


def render(template: str, **facts: Any) -> str:
    """A template with its facts; every fact is text, whatever was logged."""
    return _environment().get_template(template).render(facts)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment


@dataclass(frozen=True)
class Badge:
    """A verdict as a sign, a word and a colour."""

    tone: Tone
    words: str

    @property
    def sign(self) -> str:
        return _SIGNS[self.tone]


def verdict_badge(verdict: Verdict | None, severity: Severity | None) -> Badge:
    """The badge of a verdict; without one it says so, and never looks fine."""
    if verdict == "drift":
        return Badge("drift", "drift")
    if verdict == "too few":
        return Badge("too-few", "too few")
    if verdict == "ok":
        return Badge("warning", "ok, with a warning") if severity == "warning" else Badge("ok", "ok")
    return Badge("missing", "no verdict")
