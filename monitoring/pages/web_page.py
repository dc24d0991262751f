"""What our own pages share: one HTML document without script or other files, readable on a phone, light or dark."""

import html
from typing import Final, Literal

Tone = Literal["ok", "warning", "drift", "too-few", "missing"]

_SIGNS: Final[dict[Tone, str]] = {"ok": "✓", "warning": "!", "drift": "▲", "too-few": "?", "missing": "–"}


def document(title: str, body: str, style: str = "") -> bytes:
    """The whole page. `title` is text; `body` and `style` are markup made by the caller."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    ).encode()


def badge(tone: Tone, words: str) -> str:
    """A verdict as a sign, a word and a colour: no one of them alone."""
    return f'<span class="badge {tone}"><span aria-hidden="true">{_SIGNS[tone]}</span> {html.escape(words)}</span>'


def link(address: str, words: str) -> str:
    return f'<a href="{html.escape(address)}">{html.escape(words)}</a>'


def verdict_tone(verdict: str, severity: str) -> tuple[Tone, str]:
    """How a verdict is shown, and its words; one that nobody knows is shown as missing, never as fine."""
    if verdict == "drift":
        return "drift", "drift"
    if verdict == "too few":
        return "too-few", "too few"
    if verdict == "ok":
        return ("warning", "ok, with a warning") if severity == "warning" else ("ok", "ok")
    return "missing", "no verdict"


# Contrast of text on its background is at least 4.5 in both schemes (WCAG AA); a test computes it.
_LIGHT: Final = (
    "--ground:#f5f6f8;--card:#fff;--ink:#1c2430;--soft:#525c6b;--line:#d9dee5;--link:#0b53c1;"
    "--ok:#14602a;--ok-ground:#e2f3e6;--warning:#744700;--warning-ground:#fdf0d3;"
    "--drift:#9a1c13;--drift-ground:#fde6e3;--none:#47505e;--none-ground:#e8ebef;--chart:#2f5f9e;"
)
_DARK: Final = (
    "--ground:#12161c;--card:#1b212a;--ink:#e6eaf0;--soft:#a5afbd;--line:#333c49;--link:#8ab8ff;"
    "--ok:#8fdca5;--ok-ground:#17351f;--warning:#f4cd7d;--warning-ground:#3a2c0f;"
    "--drift:#ffb1a8;--drift-ground:#451a16;--none:#b6bfcc;--none-ground:#2a323d;--chart:#8fb8ee;"
)
_STYLE: Final = (
    f":root{{color-scheme:light dark;{_LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;-webkit-text-size-adjust:100%}"
    "main{max-width:1180px;margin:0 auto;padding:1.25rem 1rem 3rem}"
    "h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "h3{font-size:1rem;margin:1.25rem 0 .4rem}p{margin:.4rem 0}"
    "p,li,td,dd,h1,summary{overflow-wrap:anywhere}a{color:var(--link)}.soft{color:var(--soft)}"
    ".small{font-size:.875rem}.card{background:var(--card);border:1px solid var(--line);border-radius:10px;"
    "padding:1rem 1.25rem;margin:0 0 1rem}"
    ".badge{display:inline-block;border-radius:999px;padding:.1rem .7rem;font-weight:600;font-size:.9rem;"
    "border:1px solid currentColor;white-space:nowrap;color:var(--none);background:var(--none-ground)}"
    ".badge.ok{color:var(--ok);background:var(--ok-ground)}"
    ".badge.warning{color:var(--warning);background:var(--warning-ground)}"
    ".badge.drift{color:var(--drift);background:var(--drift-ground)}"
    ".badge.missing{border-style:dashed}"
)
