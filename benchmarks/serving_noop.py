"""The server with an engine that makes each kind of list once and then says the same again.

`python -m benchmarks.serving_noop` takes the options of `python -m serving`. What a request costs here is
what HTTP, JSON, the checks of the protocol and KServe cost, with answers of the usual size.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from serving import program
from serving.engine import Engine
from serving.protocol import Instance


@dataclass
class Repeating(Engine):
    """Thinks once for each surface."""

    said: dict[tuple[str, int, bool], list[dict[str, Any]]] = field(default_factory=dict)

    async def predict(self, instances: Sequence[Instance], request_id: str) -> list[dict[str, Any]]:
        """As the engine's, of the first request of its kind."""
        first = instances[0]
        kind = first.surface, len(instances), first.explain
        if kind not in self.said:
            self.said[kind] = await super().predict(instances, request_id)
        return self.said[kind]


if __name__ == "__main__":
    program.Engine = Repeating  # type: ignore[misc]  # this process serves nobody else
    sys.exit(program.main(sys.argv[1:]))
