"""kfp without its client, which brings Kubernetes' and half a second: no run on this machine needs it."""

import os
import sys
from typing import Final

_AT_RUN_TIME: Final = "_KFP_RUNTIME"
"""Set to "true", kfp's own executor leaves graphs and client out."""


def import_kfp_alone() -> None:
    """Import kfp, compiler and local runner, as its executor does: without what `kfp.client` brings.

    That can be imported by name as ever. Should kfp forget the variable, it takes longer, and no more.
    """
    if "kfp" in sys.modules:
        return
    before = os.environ.get(_AT_RUN_TIME)
    os.environ[_AT_RUN_TIME] = "true"
    try:
        import kfp  # noqa: F401 - the package alone: its parts, imported later, look at the variable again
    finally:
        if before is None:
            del os.environ[_AT_RUN_TIME]
        else:
            os.environ[_AT_RUN_TIME] = before
