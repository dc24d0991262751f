"""Tables of fields in the documentation, made from the Pydantic types that read and write a file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from churn.command import show
from churn.files import replace_file

_WORDS: Final = {"integer": "integer", "number": "number", "string": "text", "null": "null", "boolean": "true or false"}


def page(head: str, parts: Sequence[type[Any]]) -> str:
    """A page: the head, and a section for each type."""
    return "\n".join([head, *(line for part in parts for line in _section(part))])


def write(path: Path, head: str, parts: Sequence[type[Any]]) -> None:
    """Write a page, and say so."""
    replace_file(path, page(head, parts).encode())
    show(f"{len(parts)} parts in {path.name}")


def _section(part: type[Any]) -> Iterator[str]:
    yield f"## {_title(part.__name__)}"
    yield ""
    yield str(part.__doc__).partition("\n")[0]
    yield ""
    yield "| field | type | what |"
    yield "|---|---|---|"
    properties = TypeAdapter(part).json_schema(by_alias=True)["properties"]
    leading = getattr(part, "leading_fields", ())
    for name in dict.fromkeys((*leading, *properties)):
        told = properties[name]
        yield f"| `{name}` | {_type(told)} | {str(told['description']).replace(chr(10), ' ')} |"
    yield ""


def _title(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "$ref" in schema:
        return _link(str(schema["$ref"]).rpartition("/")[2])
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return ", ".join(f"`{value}`" for value in allowed) or _plain_type(schema)


def _plain_type(schema: Mapping[str, Any]) -> str:
    kind = str(schema["type"])
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {_type(schema['prefixItems'][0])}"
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object":
        return f"object: {_type(schema['additionalProperties'])} by name"
    return _WORDS[kind]


def _link(name: str) -> str:
    title = _title(name).lower()
    return "measure" if name == "Figure" else f"[{title}](#{title.replace(' ', '-')})"
