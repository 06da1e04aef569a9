"""What all tests share: assertions of the harness are explained, no example is timed, one thread each."""

import os

import pytest
from hypothesis import settings

# Two workers share two cores: threads that wait for each other by spinning would starve them. The
# libraries read this when they are loaded, which only what is imported below does.
for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")
pytest.register_assert_rewrite("tests.conformance", "tests.small_run")

from tests.small_run import place, shell, trained  # noqa: E402  # after its assertions are explained

__all__ = ["place", "shell", "trained"]

# A busy machine is not a failing test: Hypothesis times each example unless told otherwise.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
