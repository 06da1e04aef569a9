"""Rendered places: once a session."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8s.checks import rendering
from k8s.checks.documents import read_documents

Rendered = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def rendered() -> Rendered:
    """The objects of a place such as "overlays/production"; shared, so change copies only."""
    command = rendering.kustomize()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is here")
    known: dict[str, list[dict[str, Any]]] = {}

    def objects(place: str) -> list[dict[str, Any]]:
        if place not in known:
            text = rendering.render(rendering.ROOT / place, command)
            known[place] = read_documents(text, where=place)
        return known[place]

    return objects


@pytest.fixture
def k8s_folder() -> Path:
    return rendering.ROOT
