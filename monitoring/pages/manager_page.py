"""`reports/YYYY-Www/manager.html`: the week in plain words for whoever talks to the customers. No script."""

import html
from collections.abc import Iterator, Sequence
from typing import Final

from monitoring.pages import plain_words
from monitoring.pages.web_page import badge, document, link
from monitoring.reports.report_folder import DRIFT, INDEX
from monitoring.reports.summary_fields import Content, dates, text
from monitoring.reports.week import Week

_SECTIONS: Final = (
    ("What changed", plain_words.changes),
    ("Does it matter?", plain_words.weight),
    ("What to do", plain_words.advice),
    ("Customers at risk", plain_words.at_risk),
    ("How sure are we?", plain_words.certainty),
    ("What this rests on", plain_words.basis),
)


def page(content: Content) -> bytes:
    """The page of the week that the content of its `summary.json` is about.

    Raises:
        SettingError: the content names no week.
    """
    week = Week.parse(text(content, "week"))
    tone, word, sentence = plain_words.headline(content)
    body = (
        f"<nav>{link(f'../{INDEX}', 'All weeks')} · {link(text(content, 'page') or DRIFT, 'Technical report')}</nav>"
        f'<h1>Customers about to leave<br><span class="soft">Week {week}: {dates(week)}</span></h1>'
        f'<section class="card"><p>{badge(tone, word)}</p><p>{html.escape(sentence)}</p></section>'
        + "".join(_section(title, sentences(content)) for title, sentences in _SECTIONS)
    )
    return document(f"Customers about to leave, week {week}", body, _STYLE)


def _section(title: str, sentences: Sequence[str]) -> str:
    return f'<section class="card"><h2>{title}</h2><ul>{"".join(_items(sentences))}</ul></section>'


def _items(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield f"<li>{html.escape(sentence)}</li>"


_STYLE: Final = (
    "main{max-width:720px}h1 .soft{font-size:1rem;font-weight:400}.card h2{margin:0 0 .5rem}"
    "ul{margin:0;padding-left:1.2rem}li+li{margin-top:.35rem}.badge{white-space:normal;font-size:1rem}"
)
