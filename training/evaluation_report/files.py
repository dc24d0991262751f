"""The files of the evaluation report: one HTML page, Markdown, and JSON for a machine."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2

from churn.files import replace_file

STEM: Final = "evaluation"
TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """A heading, sentences, warnings, and a table (a header and rows of text)."""

    title: str
    text: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def page(title: str, sections: Sequence[Section]) -> str:
    """The report as one HTML page that needs nothing else; the template escapes all text."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template("evaluation.html.jinja").render(title=title, sections=sections)


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The report as Markdown."""
    lines = [f"# {title}", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        lines += [line for text in section.text for line in (_plain(text), "")]
        lines += [line for note in section.notes for line in (f"**Note:** {_plain(note)}", "")]
        if section.rows:
            lines += [_row(section.header), _row(["---"] * len(section.header)), *map(_row, section.rows), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(text: str) -> str:
    return html.escape(text, quote=False)


def write_report(where: Path, title: str, sections: Sequence[Section], found: Mapping[str, Any]) -> list[Path]:
    """Write `evaluation.html`, `.md` and `.json`."""
    contents = {
        "html": page(title, sections),
        "md": markdown(title, sections),
        "json": json.dumps(found, indent=1) + "\n",
    }
    paths = []
    for suffix, content in contents.items():
        paths.append(where / f"{STEM}.{suffix}")
        replace_file(paths[-1], content.encode())
    return paths
