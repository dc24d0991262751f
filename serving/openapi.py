"""The OpenAPI document of the service, and the page that shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import jinja2
import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from churn.contract import CONTRACT_VERSION, OTHER, example_customer
from serving.api import (
    MAXIMUM_EXPLAIN,
    MAXIMUM_PREDICT,
    ErrorResponse,
    ExplainRequest,
    ExplainResponse,
    PredictRequest,
    PredictResponse,
)
from serving.site import Document

DOCUMENT_PATH: Final = "/docs.json"
TITLE: Final = "Customer churn"
_REFERENCE: Final = "#/components/schemas/{model}"

_REFUSALS: Final = {
    "400": "The request is wrong; `detail` names row and field. Nothing was scored or logged.",
    "401": "The API key is missing or wrong.",
    "408": "The headers or the body did not arrive in time.",
    "413": "Too many customers, or a body over 32 MB.",
    "415": "The body is not `application/json`, or is compressed.",
    "429": "Too many requests at a time; try again after `Retry-After` seconds.",
    "431": "The request line and the headers are larger than 16 KB.",
    "503": "The prediction log cannot be written, so nothing is answered; try again after `Retry-After` seconds.",
}

EXAMPLES: Final[Mapping[str, dict[str, Any]]] = {
    "/predict": {"customers": [example_customer()]},
    "/explain": {"customers": [example_customer()], "top_k": 5, "what_would_help": False},
}
"""Bodies that work when posted as they are."""


@dataclass(frozen=True)
class _Api:
    path: str
    summary: str
    description: str
    asked: type[BaseModel]
    answered: type[BaseModel]


_APIS: Final = (
    _Api(
        "/predict",
        "How likely each customer is to leave.",
        f"Probability of churn, and whether it reaches the model's threshold, for up to {MAXIMUM_PREDICT} customers.",
        PredictRequest,
        PredictResponse,
    ),
    _Api(
        "/explain",
        "How likely, and why.",
        f"As `predict`, with what each feature adds to the score, for up to {MAXIMUM_EXPLAIN} customers.",
        ExplainRequest,
        ExplainResponse,
    ),
)

_KEY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""Either of them opens the APIs."""

_PLAIN: Final = {
    "/livez": "Answers 200 while the process is alive.",
    "/readyz": "Answers 200 when the model is loaded and requests are taken.",
    "/metrics": "Metrics in the Prometheus text format.",
}


def document(
    model: str, *, keyed: bool = False, known: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service with this model.

    Args:
        model: its tag.
        keyed: whether the APIs want a key.
        known: the values of open categories that the model knows, by feature.
    """
    paths = {api.path: _operation(api, keyed=keyed) for api in _APIS} | {
        path: _plain(text) for path, text in _PLAIN.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": CONTRACT_VERSION,
            "description": f"Predicts and explains the churn of a music-streaming service's customers. Model {model}.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": _schemas(known)} | ({"securitySchemes": _KEY_SCHEMES} if keyed else {}),
    }


def _schemas(known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    kinds: list[type[BaseModel]] = [ErrorResponse, *(kind for api in _APIS for kind in (api.asked, api.answered))]
    _, definitions = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_REFERENCE)
    schemas: dict[str, Any] = definitions["$defs"]
    for name, values in known.items():
        schemas["Customer"]["properties"][name]["description"] += (
            f" This model knows {', '.join(values)}; another value is scored as {OTHER}, with a warning in the answer."
        )
    return schemas


def _operation(api: _Api, *, keyed: bool) -> dict[str, Any]:
    body = _json(api.asked, "Customers with their features.") | {"required": True}
    body["content"]["application/json"]["example"] = EXAMPLES[api.path]
    refusals = {status: _json(ErrorResponse, reason) for status, reason in _REFUSALS.items()}
    return {
        "post": {
            "operationId": api.path.strip("/"),
            "summary": api.summary,
            "description": api.description,
            "requestBody": body,
            "responses": {"200": _json(api.answered, "In the order asked.")} | refusals,
        }
        | ({"security": [{name: []} for name in _KEY_SCHEMES]} if keyed else {})
    }


def _plain(text: str) -> dict[str, Any]:
    return {"get": {"summary": text, "responses": {"200": {"description": text}}}}


def _json(model: type[BaseModel], description: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def documents(model: str, *, keyed: bool, known: Mapping[str, Sequence[str]]) -> dict[str, Document]:
    """The document as JSON, and a page that shows it: BentoML's viewer without the tracker of BentoML's own page."""
    return {
        "/": Document(_page(), b"text/html; charset=utf-8"),
        DOCUMENT_PATH: Document(orjson.dumps(document(model, keyed=keyed, known=known)), b"application/json"),
    }


def _page() -> bytes:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, keep_trailing_newline=True
    )
    return templates.get_template("api.html.jinja").render(title=TITLE, document=f".{DOCUMENT_PATH}").encode()
