"""The bundles that may be served: found by id, fetched, and verified to the last byte."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marquee.adapters.kubernetes.arms import Arm
from marquee.adapters.object_store import ObjectStore, open_store, read_index
from marquee.bundle import MANIFEST, verify_bundle
from marquee.errors import BundleError, ObjectMissingError

_ROOT: Final = "bundles"
_KIND: Final = "bundle"
"""Bundles lie at bundles/<data set>/<id>/bundle (`marquee.registering`)."""


@dataclass(frozen=True)
class Shelf:
    """The registered bundles of all data sets, in the store of MARQUEE_MODELS."""

    store: ObjectStore

    def fetch(self, which: str, *, near: str = "") -> Arm:
        """A bundle that verified, as the arm that would serve it.

        Args:
            which: its id, or the address of its folder: s3://bucket/folder/.
            near: the address of another bundle, whose data set is looked at first.

        Raises:
            BundleError: it is torn, tampered with, holds more than its manifest names, or has another id.
            ObjectStoreError: there is none, or the store does not answer.
        """
        if "/" in which:
            return verified(which)
        arm = verified(self._address(which, near))
        if arm.bundle_id != which:
            raise BundleError(
                f"{arm.storage_uri} holds bundle {arm.bundle_id}, not {which}.",
                remedy="Do not serve it; register the bundle again.",
            )
        return arm

    def _address(self, bundle_id: str, near: str) -> str:
        begin = f"{self.store.uri}/{_ROOT}/"
        if near.startswith(begin):
            name = near.removeprefix(begin).partition("/")[0]
            with suppress(ObjectMissingError):
                return self._folder(f"{_ROOT}/{name}/{bundle_id}/{_KIND}")
        found = [key for key in self.store.list_keys(f"{_ROOT}/") if key.split("/")[2:3] == [bundle_id]]
        for key in sorted({"/".join(key.split("/")[:3]) for key in found}):
            return self._folder(f"{key}/{_KIND}")
        raise ObjectMissingError(
            f"{self.store.uri} holds no bundle {bundle_id}.",
            remedy="Give the id of a registered bundle: `marquee registry list`; check MARQUEE_MODELS.",
        )

    def _folder(self, key: str) -> str:
        return f"{self.store.uri}/{key}/{read_index(self.store, key).digest[:16]}"


def verified(address: str) -> Arm:
    """What lies in a folder, all of which KServe would fetch, if it is a bundle and nothing else.

    Args:
        address: s3://bucket/folder, with or without a slash at its end.

    Raises:
        BundleError: it is torn, tampered with, or holds more than its manifest names.
        ObjectStoreError: there is none, or the store does not answer.
    """
    store = open_store(address.rstrip("/"))
    names = store.list_keys()
    if MANIFEST not in names:
        raise ObjectMissingError(
            f"{store.uri} is no bundle: it has no {MANIFEST}.",
            remedy="Give the folder that holds it; `marquee registry list --json` names those registered.",
        )
    with tempfile.TemporaryDirectory(prefix="marquee-bundle-") as folder:
        for name in names:
            store.get_file(name, Path(folder) / name)
        try:
            manifest = verify_bundle(Path(folder))
        except BundleError as error:
            said = error.problem.replace(folder, store.uri)
            raise BundleError(said, remedy="Do not serve it; register the bundle again.") from error
    return Arm(manifest.bundle_id, str(manifest.provenance.get("run_id", "")), f"{store.uri}/")
