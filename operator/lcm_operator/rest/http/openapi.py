"""The OpenAPI 3.1 document, made from the route table, and Swagger UI.

Swagger UI comes from a package and loads nothing from other hosts. This module must not know any route.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from lcm_operator.rest.http import bodies, replies
from lcm_operator.rest.http.callers import Requirement
from lcm_operator.rest.http.routing import NAME, Call, Route

Json = dict[str, Any]

_PACKAGE = "mkdocs_swagger_ui_tag"
_FOLDER = "swagger-ui"
_ID = {"name": "id", "in": "path", "required": True, "description": "The trial ID; encode `/` as `%2F`."}
_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "A signal that the trial's plan waits for.",
    "schema": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
}

_TEXT: Json = {"type": "string"}
_SCHEMAS: dict[str, Json] = {
    "Message": {"type": "object", "required": ["message"], "properties": {"message": _TEXT}},
    "Token": {
        "type": "object",
        "required": ["Authorization"],
        "properties": {"Authorization": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"}},
    },
    "Status": {
        "type": "object",
        "required": [
            "message",
            "Scheduler_status",
            "scheduled_trials",
            "Executor_Engine_instances",
            "Heartbeat_instances",
        ],
        "properties": {
            "message": _TEXT,
            "Scheduler_status": {"enum": ["Idle", "Scheduled job(s) initiated"]},
            "Automatic_scheduling": {"type": "boolean", "description": "Since 1.0.2."},
            "scheduled_trials": {"type": "string", "description": "A list in Python's notation."},
            "Executor_Engine_instances": {"type": "string", "description": "A list in Python's notation."},
            "Heartbeat_instances": {"type": "string", "description": "A list in Python's notation."},
        },
    },
    "Refusal": {"type": "object", "required": ["detail"], "properties": {"detail": _TEXT}},
    "Faults": {
        "type": "object",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["loc", "msg", "type"],
                    "properties": {
                        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                        "msg": _TEXT,
                        "type": _TEXT,
                    },
                },
            }
        },
    },
}
_REASONS = {
    400: "The request conflicts with the current state; `detail` explains why.",
    401: "The key or token is missing or wrong.",
    403: "The key may only read, or the request comes from another origin.",
    404: "The route or object does not exist.",
    405: "The route does not support this method.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or the engine has too many unconsumed signals.",
    421: "The Host header does not name the sidecar.",
    422: "The request is invalid; `detail` lists every validation error.",
    500: "The operation did not complete in time.",
    503: "The Kubernetes API is unavailable or too busy.",
}
_SCHEMES: dict[str, Json] = {
    "header": {"type": "apiKey", "in": "header", "name": "Authorization"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "Authorization"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_PAGE = (
    b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Lifecycle Manager</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
""",
    "text/html",
)
_START = (
    b"""SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", validatorUrl: null});
""",
    "text/javascript",
)
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def document(routes: Iterable[Route], *, version: str, authenticated: bool) -> Json:
    """Return the document of the routes that have a summary. `authenticated`: keys are required."""
    paths: dict[str, Json] = {}
    models: dict[str, Json] = {}
    for route in routes:
        if route.summary is not None:
            operation = _operation(route, authenticated=authenticated)
            paths.setdefault(route.path, {})[route.method.lower()] = operation
            if route.body is not None:
                models[route.body.__name__] = route.body.model_json_schema()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lifecycle Manager",
            "version": version,
            "summary": "The legacy HTTP interface of LCM Operator",
            "description": "See docs/rest.md for semantics and examples.",
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS | models, "securitySchemes": _SCHEMES},
    }


def _operation(route: Route, *, authenticated: bool) -> Json:
    operation: Json = {
        "summary": route.summary,
        "operationId": "-".join([route.method.lower(), *_words(route.path)]),
        "responses": _responses(route),
    }
    if route.deprecated:
        operation["deprecated"] = True
    parameters = [_ID | {"schema": _schema_of(bodies.IdInPath, "id")}] if route.has_id else []
    if NAME in route.path:
        parameters.append(_NAME)
    if route.query is not None:
        parameters += [
            {"name": name, "in": "query", "required": True, "schema": _schema_of(route.query, name)}
            for name in route.query.model_fields
        ]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.body.__name__)}
    if route.requires is Requirement.TOKEN or (route.requires is Requirement.KEY and authenticated):
        operation["security"] = [{name: []} for name in _SCHEMES]
    return operation


def _responses(route: Route) -> Json:
    statuses = set(route.refusals)
    if route.requires is not Requirement.NOTHING:
        statuses |= {401, 403, 421, 503}
    if route.has_id:
        statuses |= {404, 405, 422}  # a client that resolves `..` requests another path
    if route.query is not None:
        statuses.add(422)
    if route.body is not None:
        statuses |= {400, 408, 413, 422}
    if route.largest_ignored is not None:
        statuses |= {408, 413}
    responses: Json = {"200": {"description": "Success.", "content": _json(route.answer)}}
    for status in sorted(statuses):
        content = _json("Faults" if status == 422 else "Refusal")  # noqa: PLR2004
        responses[str(status)] = {"description": _REASONS[status], "content": content}
    return responses


def _json(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _schema_of(model: type[BaseModel], name: str) -> Json:
    schema: Json = model.model_json_schema()["properties"][name]
    return schema


def _words(path: str) -> list[str]:
    return [word.strip("{}") for word in path.split("/") if word]


def routes(described: Sequence[Route], *, version: str, authenticated: bool) -> tuple[Route, ...]:
    """Return the routes of the documentation: /openapi.json, /, /docs and the files that these load."""
    text = replies.encoded(document(described, version=version, authenticated=authenticated))
    pages = {
        "/": _PAGE,
        "/docs": _PAGE,
        "/docs/start.js": _START,
        "/openapi.json": (text, "application/json"),
    }
    return (
        *(Route("GET", path, _shows(*page), requires=Requirement.NOTHING) for path, page in pages.items()),
        *(
            Route("GET", f"/docs/{file.name}", _sends(file), requires=Requirement.NOTHING)
            for file in assets()
        ),
    )


def assets() -> tuple[Path, ...]:
    """Return the files of Swagger UI."""
    folder = Path(str(files(_PACKAGE))) / _FOLDER
    return folder / "stylesheets" / "swagger-ui.css", folder / "javascripts" / "swagger-ui-bundle.js"


def _shows(body: bytes, content_type: str) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    async def show(_: Call) -> web.StreamResponse:
        answer = replies.reply(body, content_type=content_type)
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    return show


def _sends(file: Path) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    async def send(_: Call) -> web.StreamResponse:
        headers = {"Cache-Control": "no-cache", "Content-Type": _TYPES[file.suffix]}
        return web.FileResponse(file, headers=headers)

    return send
