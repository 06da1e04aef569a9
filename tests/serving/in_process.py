"""The server's application in this process: all of its HTTP but the sockets."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from kserve import ModelRepository
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer

from serving.edge import Edge
from serving.engine import Engine
from serving.predictor import MarqueeModel
from serving.server import APP
from tests.serving.conftest import NAME, Reply, lowered

PREDICT = f"/v1/models/{NAME}:predict"
EXPLAIN = f"/v1/models/{NAME}:explain"
INFER = f"/v2/models/{NAME}/infer"
JSON = {"content-type": "application/json"}


@cache
def _repository() -> ModelRepository:
    """KServe's one application of this process, with a repository in which the model can be replaced."""
    repository = ModelRepository()
    plane = DataPlane(model_registry=repository)
    RESTServer(APP, plane, ModelRepositoryExtension(model_registry=repository), 0).create_application()
    return repository


@dataclass(frozen=True)
class InProcess:
    """Both ways through the server; `call` and its like run one request to its end."""

    model: MarqueeModel
    runner: asyncio.Runner

    @classmethod
    def of(cls, engine: Engine, runner: asyncio.Runner) -> "InProcess":
        model = MarqueeModel(NAME, engine)
        _repository().update(model)
        return cls(model, runner)

    @property
    def application(self) -> FastAPI:
        return app

    def edge(self, *, is_fast: bool) -> Edge:
        return Edge(app, self.model, is_fast=is_fast)

    def call(
        self,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | list[tuple[bytes, bytes]] | None = None,
        *,
        method: str = "POST",
        is_fast: bool = True,
    ) -> Reply:
        """One request; what the application raises is a 500, as uvicorn has it."""
        return self.runner.run(self._call(path, body, headers, method, is_fast=is_fast))

    async def _call(
        self,
        path: str,
        body: Any,
        headers: Any,
        method: str,
        *,
        is_fast: bool,
    ) -> Reply:
        transport = httpx.ASGITransport(
            self.edge(is_fast=is_fast),  # type: ignore[arg-type]
            raise_app_exceptions=False,
        )
        content = body if body is None or isinstance(body, bytes) else _stream(body)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            answer = await client.request(
                method, path, content=content, headers=JSON if headers is None else headers
            )
        return Reply(answer.status_code, lowered(answer.headers), answer.content)

    def predict(self, *instances: Any, is_fast: bool = True) -> Reply:
        """V1 `:predict`."""
        return self.call(PREDICT, json.dumps({"instances": instances}).encode(), is_fast=is_fast)


async def _stream(parts: Iterable[bytes]) -> Any:
    for part in parts:
        yield part
