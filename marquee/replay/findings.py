"""What a replay shows: quality with intervals, what it cost, what was seen how soon, what was no shock."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.significance import BootstrapConfig, difference_interval, mean_interval
from marquee.monitoring.window import NDCG
from marquee.replay.shocks import Shock
from marquee.replay.walk import Step, Walk

ALARMS: Final = ("retrain", "report", "blocked")
"""Verdicts that say: something has changed, or is broken."""
SOON: Final = 2
"""Windows within which a shock should be seen; as long an alarm after its end may still be its echo."""


@dataclass(frozen=True)
class Detection:
    """How a policy met a shock."""

    shock: str
    after_windows: int | None
    """From its beginning on, the first one counting as 1; None where it was not seen while it lasted."""
    verdict: str

    @property
    def is_soon(self) -> bool:
        """Whether that was soon enough."""
        return self.after_windows is not None and self.after_windows <= SOON


def detections(walk: Walk, shocks: Sequence[Shock]) -> list[Detection]:
    """When each shock was first answered by an alarm; only a policy that watches answers."""
    found = []
    for shock in shocks:
        end = len(walk.steps) + 1 if shock.nature == "model" else shock.start + shock.windows
        alarms = [step for step in walk.steps if shock.start <= step.window < end and step.verdict in ALARMS]
        first = alarms[0] if alarms else None
        found.append(
            Detection(
                str(shock), first.window - shock.start + 1 if first else None, first.verdict if first else ""
            )
        )
    return found


def quiet(walk: Walk, shocks: Sequence[Shock]) -> list[Step]:
    """The windows in which there is no shock, nor the echo of one."""
    return [
        step
        for step in walk.steps
        if not step.is_broken
        and not any(
            shock.start
            <= step.window
            < shock.start + (1 if shock.nature == "model" else shock.windows) + SOON
            for shock in shocks
        )
    ]


def summary(walk: Walk, shocks: Sequence[Shock], *, seed: int, config: BootstrapConfig) -> dict[str, Any]:
    """One policy's numbers, plain values for JSON."""
    calm = quiet(walk, shocks)
    watched = any(step.verdict for step in walk.steps)
    trained = sum(step.verdict == "retrain" for step in calm)
    return {
        "policy": walk.policy,
        "ndcg": mean_interval(_values(walk), seed=seed, config=config).to_dict(),
        "retrains": walk.retrains,
        "refreshes": sum(step.verdict == "refresh" for step in walk.steps) if watched else None,
        "promoted": walk.count("promoted"),
        "refused": walk.count("refused"),
        "held_back": walk.count("held back"),
        "windows_without_shock": len(calm),
        "false_alarms": trained if watched else None,
        "false_alarm_share": trained / len(calm) if watched and calm else None,
        "blocked_without_shock": sum(step.gate == "block" for step in calm),
        "detections": [
            {"shock": each.shock, "after_windows": each.after_windows, "verdict": each.verdict}
            for each in detections(walk, shocks)
        ]
        if watched
        else [],
    }


def differences(walks: Sequence[Walk], *, seed: int, config: BootstrapConfig) -> list[dict[str, Any]]:
    """Each pair of policies on the same users of the same windows: the later one minus the earlier."""
    return [
        {
            "policy": later.policy,
            "against": earlier.policy,
            "ndcg": difference_interval(_values(later), _values(earlier), seed=seed, config=config).to_dict(),
        }
        for earlier, later in combinations(walks, 2)
    ]


def _values(walk: Walk) -> NDArray[np.float64]:
    """NDCG of each user of each window, in an order that all walks of a world share."""
    return walk.quality[NDCG].to_numpy().astype(np.float64)
