"""The OpenAPI 3.1 document of the API, made of its routes (https://spec.openapis.org/oas/v3.1.1)."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.access import MEANINGS
from proxy.docstrings import read_docstring
from proxy.server.operations import JSON, Operation, Route
from proxy.server.problems import MEDIA as PROBLEM
from proxy.server.problems import Problem

PREFIX: Final = "/api/v1/"
_TEMPLATE: Final = "#/components/schemas/{name}"
_PATTERN: Final = re.compile(r"\{(\w+):[^{}]*\}")
_SCHEMES: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token, or the identity token of an issuer.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Any user name, and one of these as the password.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-tfaudit",
        "description": "A person who logged in; `tfaudit` without HTTPS. Whatever is not a GET "
        "needs the session's `csrf_token` as `X-CSRF-Token`, too.",
    },
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of all routes under ``/api/v1/``.

    Raises:
        ValueError: one of them has no operation.
    """
    described = [route for route in routes if route.path.startswith(PREFIX)]
    types: list[Any] = [Problem]
    for route in described:
        operation = operation_of(route)
        types += [each for each in (operation.body, operation.reply) if each is not None]
    types = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    references = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        operations = paths.setdefault(path_of(route), {})
        operations[route.method.lower()] = _operation(route, references)
    told = {
        "openapi": "3.1.1",
        "info": {
            "title": "tfaudit",
            "version": version("tfaudit"),
            "summary": "Who may do what with Terraform states, and the log of all that was done.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: _described(each) for name, each in sorted(components.items())},
            "securitySchemes": _SCHEMES,
        },
        "security": [{name: []} for name in _SCHEMES],
    }
    # Defaults are Python's own values; JSON has no tuples.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return plain


def operation_of(route: Route) -> Operation:
    """Return what is said of a route.

    Raises:
        ValueError: nothing is.
    """
    if route.operation is None:
        raise ValueError(f"{route.method} {route.path} has no operation")
    return route.operation


def path_of(route: Route) -> str:
    """Return the path as OpenAPI writes it: ``{name}``."""
    return _PATTERN.sub(r"{\1}", route.path)


def _operation(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    operation = operation_of(route)
    wanted = "Anybody may ask." if route.is_open else "Whoever is known may ask."
    if operation.permission is not None:
        wanted = f"Wants `{operation.permission}`: {MEANINGS[operation.permission]}."
    told: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": f"{operation.description}\n\n{wanted}".strip(),
        "responses": _responses(route, operation, references),
    }
    if parameters := [*_path_parameters(route), *_query_parameters(operation.query)]:
        told["parameters"] = parameters
    if operation.body is not None:
        content = {JSON: {"schema": references[operation.body]}}
        told["requestBody"] = {"required": True, "content": content}
    if route.is_open:
        told["security"] = []
    return told


def _responses(route: Route, operation: Operation, references: dict[Any, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {
        "description": "Done." if operation.status != 204 else "Done; there is nothing to show.",
        "headers": {
            "Request-Id": {"schema": {"type": "string"}},
            "Audit-Index": {
                "description": "Index of the entry that records it, if one does.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
            },
        },
    }
    if operation.reply is not None:
        schema = references[operation.reply] if operation.media == JSON else {"type": "string"}
        success["content"] = {operation.media: {"schema": schema}}
    elif operation.media != JSON:
        success["content"] = {operation.media: {"schema": {"type": "string"}}}
    statuses = {400, 503, *operation.refusals}
    if not route.is_open:
        statuses.add(401)
    if operation.permission is not None:
        statuses.add(403)
    if operation.body is not None:
        statuses |= {408, 413, 415}
    problem = {PROBLEM: {"schema": references[Problem]}}
    refusals = {
        str(status): {"description": f"{HTTPStatus(status).phrase}.", "content": problem}
        for status in sorted(statuses)
    }
    return {str(operation.status): success, **refusals}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", path_of(route))
    ]


def _query_parameters(of: type[Struct] | None) -> list[dict[str, Any]]:
    if of is None:
        return []
    _, components = msgspec.json.schema_components([of], ref_template=_TEMPLATE)
    schema = _described(components[of.__name__])
    parameters = []
    for name, told in schema["properties"].items():
        description = told.pop("description", "")
        parameter = {"name": name, "in": "query", "schema": _without_null(told)}
        if description:
            parameter["description"] = description
        if name in schema.get("required", ()):
            parameter["required"] = True
        parameters.append(parameter)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: an address can't say null, it leaves the name out."""
    default = schema.pop("default", None)
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        schema = choices[0]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [each for each in schema["enum"] if each is not None]
    schema.pop("description", None)
    return schema if default is None else {**schema, "default": default}


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with what its docstring says of the fields put beside them."""
    text, attributes = read_docstring(schema.get("description", ""))
    told = dict(schema)
    if text:
        told["description"] = text
    else:
        told.pop("description", None)
    if "properties" in schema:
        told["properties"] = {
            name: {**each, "description": attributes[name]} if name in attributes else dict(each)
            for name, each in schema["properties"].items()
        }
    return told
