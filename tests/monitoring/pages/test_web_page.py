"""Our pages can be read: enough contrast in light and dark, and what is text stays text."""

import re
from itertools import product

import pytest

from monitoring.pages.web_page import TEMPLATES, Badge, render


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` or `#rgb` (WCAG 2.1)."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


LIGHT, DARK = (TEMPLATES / "page.css").read_text().split("@media (prefers-color-scheme: dark)")


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_has_enough_contrast(scheme: str) -> None:
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", scheme))
    pairs = list(product(("ink", "soft", "link"), ("ground", "card")))
    pairs += [(name, f"{name}-ground") for name in ("ok", "warning", "drift", "none")]
    assert all(contrast(colours[text], colours[ground]) >= 4.5 for text, ground in pairs)
    drawn = [contrast(colours[name], colours["card"]) for name in ("chart", "drift", "warning", "soft")]
    assert min(drawn) >= 3  # lines and shapes


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("#000", "#fff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_whatever_a_template_is_given_is_text() -> None:
    attack = "</li><script>'\""
    facts = {"title": attack, "index": attack, "report": attack, "week": attack, "dates": attack, "sentence": attack}
    page = render("manager.html.jinja", **facts, verdict=Badge("ok", attack), sections={attack: [attack]})
    assert "<script" not in page
    assert page.count("&lt;/li&gt;&lt;script&gt;&#39;&#34;") == 9


def test_no_template_switches_the_escaping_off() -> None:
    for template in TEMPLATES.iterdir():
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text()), template.name
