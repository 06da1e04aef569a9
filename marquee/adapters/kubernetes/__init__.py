"""InferenceServices: apply a bundle, give another one a share, promote it or take it back, and wait for it.

    place = open_deployment("k8s://films/marquee", Shelf(open_store("s3://models/marquee")))
    place.apply(place.shelf.fetch("1a2b3c4d5e6f7081"), base=manifest)
    place.set_canary("0011223344556677", 0, expect=place.status().version)

The manifest is a plain dictionary throughout: typed models of the clients drop what they do not know.
"""

from marquee.adapters.kubernetes.address import SCHEME, Address
from marquee.adapters.kubernetes.api import ClusterApi
from marquee.adapters.kubernetes.arms import Arm
from marquee.adapters.kubernetes.deployment import InferenceServiceDeployment, open_deployment
from marquee.adapters.kubernetes.shelf import Shelf
from marquee.adapters.kubernetes.waiting import Patience, wait_until
from marquee.adapters.kubernetes.wishes import share_of

__all__ = [
    "SCHEME",
    "Address",
    "Arm",
    "ClusterApi",
    "InferenceServiceDeployment",
    "Patience",
    "Shelf",
    "open_deployment",
    "share_of",
    "wait_until",
]
