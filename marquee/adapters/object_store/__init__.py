"""Bundles, reports and snapshots in a bucket or a local folder.

    store = open_store("s3://models/marquee")
    put_folder(store, "bundles/1a2b3c", run / "bundle")    # there whole or not at all
    store.write("aliases/champion", b"1a2b3c", expected=None)  # of two writers one wins

Credentials, region and endpoint are boto3's own: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_S3 and
the other AWS_* variables, or a role of the machine.
"""

from marquee.adapters.object_store.folders import (
    FolderIndex,
    delete_folder,
    get_folder,
    put_folder,
    read_index,
)
from marquee.adapters.object_store.location import open_store
from marquee.adapters.object_store.store import Document, ObjectStore, ObjectStoreConfig

__all__ = [
    "Document",
    "FolderIndex",
    "ObjectStore",
    "ObjectStoreConfig",
    "delete_folder",
    "get_folder",
    "open_store",
    "put_folder",
    "read_index",
]
