"""The one place that knows the image.

A pipeline is traced when its module is imported, so the image is read from the environment here and then.
"""

import functools
import os
from typing import Final

from kfp import dsl

IMAGE: Final = os.environ.get("MARQUEE_IMAGE", "marquee-python:dev")
"""CI compiles with the digest that it pushed; "python" in a name keeps kfp from warning."""

component = functools.partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
"""Nothing is installed when a step runs: the image has it."""
