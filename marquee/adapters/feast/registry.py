"""Feast's registry file, written whole or not at all.

Feast's own store truncates the file before it writes: a crash or a full disk, be it while rows are brought
online, would leave no registry. Selected by `registry.registry_store_type` of a profile.
"""

import uuid
from datetime import UTC, datetime

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry

from marquee.data.storage import write_atomically


class WholeFileRegistryStore(FileRegistryStore):
    """A local file; readers see the registry before or after a change, never a part of one."""

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(datetime.now(UTC))
        write_atomically(self._filepath, registry_proto.SerializeToString())
