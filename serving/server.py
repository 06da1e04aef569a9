"""KServe's server on a host of our choice, with the edge around its application."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from kserve import ModelRepository
from kserve.errors import InvalidInput
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from pydantic.json_schema import models_json_schema

from marquee.errors import ConfigError
from serving.edge import CLOSED_PATHS, Edge
from serving.http import WholeAnswers
from serving.predictor import MarqueeModel
from serving.protocol import MAX_BODY_BYTES, PredictRequest, PredictResponse, Refusal
from serving.tracing import Traced

APP: Final = "kserve.model_server:app"
_GRPC: Final = {
    "grpc_max_receive_message_length": MAX_BODY_BYTES,
    "grpc_max_send_message_length": 2**24,  # 64 lists of 100 with explanations are 4 MiB
}
_ELSEWHERE: Final = "Give another address, or end what listens there."
GRACE_S: Final = 30
"""What requests have to finish after SIGTERM."""


class _Closed(ModelRepositoryExtension):
    """No models by request: KServe lets anyone load and unload them by gRPC, as by HTTP (`serving.edge`)."""

    async def load(self, model_name: str) -> None:
        raise InvalidInput("models are not loaded by request")

    async def unload(self, model_name: str) -> None:
        raise InvalidInput("models are not unloaded by request")


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    http_port: int
    grpc_port: int | None = None
    """None for no gRPC; KServe's listens on all interfaces."""


async def serve(
    model: MarqueeModel, address: Address, *, is_fast: bool, on_ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT; what was begun is finished before it returns.

    KServe's `ModelServer` listens on all interfaces and offers no other; these are its own parts.

    Raises:
        ConfigError: it can't listen where it should.
    """
    repository = ModelRepository()
    repository.update(model)
    parts = DataPlane(model_registry=repository), _Closed(model_registry=repository)
    # Bound here, because uvicorn ends the whole process where it can't.
    listener = bound(address)
    rest = rest_server(model, parts, address, is_fast=is_fast)
    listening = [asyncio.ensure_future(rest.serve(sockets=[listener]))]
    grpc = None
    if address.grpc_port is not None:
        grpc = GRPCServer(address.grpc_port, *parts, kwargs=_GRPC, grace_period=GRACE_S)
        listening.append(asyncio.ensure_future(grpc.start(1)))
    # uvicorn ends on these by itself and raises them again when it is done: by then we want to clean up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # gRPC binds by itself; a port that it can't have shows at once.
    done, _ = await asyncio.wait(listening, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
    if not done:
        on_ready()
        await asyncio.wait(listening, return_when=asyncio.FIRST_COMPLETED)
    model.ready = False
    rest.should_exit = True
    if grpc is not None:
        await grpc.stop(signal.SIGTERM)
    for fault in await asyncio.gather(*listening, return_exceptions=True):
        if isinstance(fault, RuntimeError):  # grpc's, which says why by itself
            raise ConfigError(f"--grpc_port {address.grpc_port}: can't listen.", remedy=_ELSEWHERE) from fault
        if fault is not None:
            raise fault


def rest_server(
    model: MarqueeModel, parts: tuple[DataPlane, ModelRepositoryExtension], address: Address, *, is_fast: bool
) -> uvicorn.Server:
    """KServe's application with the edge around it."""
    rest = RESTServer(APP, *parts, address.http_port, grace_period=GRACE_S)
    rest.create_application()
    edge = Edge(app, model, is_fast=is_fast)
    rest.config.app = edge if model.spans is None else Traced(edge, model.spans, model.name)
    rest.config.http = WholeAnswers
    rest.config.proxy_headers = False  # nobody asks who asked
    app.openapi = lambda: described(app, model.name)  # FastAPI's documented way
    return uvicorn.Server(rest.config)


def bound(address: Address) -> socket.socket:
    """The socket to listen on.

    Raises:
        ConfigError: there is no such interface, or something else listens there.
    """
    try:
        found = socket.getaddrinfo(address.host, address.http_port, type=socket.SOCK_STREAM)[0]
        # Not the port of what was found: that is the remainder of one too large.
        return socket.create_server((found[4][0], address.http_port), family=found[0])
    except (OSError, OverflowError) as error:
        said = str(error).rstrip(".")
        raise ConfigError(
            f"--host {address.host} --http_port {address.http_port}: can't listen: {said}.", remedy=_ELSEWHERE
        ) from error


def described(application: FastAPI, model_name: str) -> dict[str, Any]:
    """KServe's OpenAPI document with our body and answers for `:predict`, which KServe leaves open."""
    if application.openapi_schema is None:
        document = get_openapi(
            title="Marquee", version=application.version, routes=application.routes, description=_ABOUT
        )
        models = [(each, "validation") for each in (PredictRequest, PredictResponse, Refusal)]
        schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]  # type: ignore[arg-type]
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        document["paths"][f"/v1/models/{model_name}:predict"] = {"post": _predict()}
        hidden = [path for path in document["paths"] if CLOSED_PATHS.fullmatch(path)]
        for path in ("/v1/models/{model_name}:predict", *hidden):
            document["paths"].pop(path, None)
        application.openapi_schema = document
    return application.openapi_schema


_ABOUT: Final = "Lists of movies. V1 `:predict` is described in full; V2 and the rest are KServe's own."


def _predict() -> dict[str, Any]:
    def of(name: str) -> Mapping[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    refused = {
        "400": "A field does not fit; the error names it.",
        "413": "The body is too large.",
        "503": "Not ready.",
    }
    return {
        "summary": "Lists for up to 64 instances",
        "tags": ["V1"],
        "operationId": "predict",
        "requestBody": {"required": True, "content": of("PredictRequest")},
        "responses": {
            "200": {"description": "A prediction for each instance.", "content": of("PredictResponse")},
            **{code: {"description": words, "content": of("Refusal")} for code, words in refused.items()},
        },
    }
