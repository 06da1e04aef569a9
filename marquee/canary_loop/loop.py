"""The loop that drives a canary: looks at the cluster and the metrics, decides, acts, and can stop anywhere.

What is to be done is written before it is done, and what was seen after it. So a process that dies at any
point leaves a record from which the next one goes on: it reads the cluster first, and what it finds there
is what holds. One process at a time has the turn (`marquee.adapters.canary_record`); the cluster's own
compare-and-set catches the one that slept through it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from marquee.adapters.canary_record import CanaryBusyError, CanaryError, CanaryRecord, Turn
from marquee.adapters.deployment import (
    CanaryMetrics,
    CanaryNotReadyError,
    Crown,
    Deployment,
    DeploymentConflictError,
    DeploymentError,
    DeploymentStatus,
    DeploymentUnavailableError,
    MetricsUnavailableError,
)
from marquee.canary_loop.reconcile import Act, reconcile, turned
from marquee.errors import MarqueeError, ObjectStoreError
from marquee.monitoring.canary import decide, postpone, record_of, start
from marquee.monitoring.canary_config import CanaryConfig
from marquee.monitoring.canary_counts import Observation
from marquee.monitoring.canary_state import CanaryState

LEASE: Final = timedelta(minutes=5)
"""Longer than any check: the cluster and the metrics store answer in seconds or are given up."""
ATTEMPTS: Final = 5
"""Of bringing the cluster to what the state says, in one check."""
PAUSE_S: Final = 2.0
"""Between them, where the cluster does not answer."""


@dataclass(eq=False)
class _Held:
    """The turn, as it is renewed by each write."""

    record: CanaryRecord
    turn: Turn

    @property
    def state(self) -> CanaryState:
        return self.turn.state

    def save(self, state: CanaryState) -> None:
        self.turn = self.record.save(self.turn, state)

    def release(self) -> None:
        self.turn = self.record.save(self.turn, self.state, release=True)


@dataclass(eq=False)
class CanaryLoop:
    """Drives the rollouts of one deployment."""

    record: CanaryRecord
    deployment: Deployment
    metrics: CanaryMetrics
    holder: str
    """Names this process, and no other."""
    crown: Crown | None = None
    """Hears of a promotion."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause: Callable[[float], None] = time.sleep

    def begin(self, canary: str, config: CanaryConfig | None = None) -> CanaryState:
        """Begin a rollout; where the same one is under way, it goes on.

        Raises:
            CanaryError: another one is under way, or the bundle is the champion.
            DeploymentError: the deployment does not answer, or has a canary of somebody else's.
            CanaryBusyError: another process has the turn.
        """
        status = self.deployment.status()
        found = self.record.read()
        if found is not None and not found.is_over and found.canary == canary:
            return self.check()
        if status.stable == canary:
            raise CanaryError(f"bundle {canary} is the champion already.", remedy="Give another bundle.")
        if status.canary is not None:
            raise DeploymentError(
                f"the deployment has canary {status.canary} at {status.percent} %, of no rollout of ours.",
                remedy="Drop it there, or wait until who put it there is done.",
            )
        now = self.clock()
        self.record.begin(start(status.stable, canary, now=now, config=config), now=now)
        return self.check()

    def check(self) -> CanaryState:
        """One look, one verdict at most, and what follows from it.

        Raises:
            CanaryError: there is no rollout.
            CanaryBusyError: another process has the turn; nothing was done.
            DeploymentError: the cluster does not do it now; the next check goes on from there.
            ObjectStoreError: the record can't be read or written; likewise.
        """
        return self._finished(self._take(), self._look)

    def abort(self, reason: str) -> CanaryState:
        """Roll back, whatever was seen.

        Raises:
            CanaryError: there is no rollout, or it is over.
            CanaryBusyError, DeploymentError, ObjectStoreError: as `check`.
        """
        held = self._take()

        def turn_back(held: _Held) -> None:
            if held.state.is_over:
                raise CanaryError(
                    f"the rollout of {held.state.canary} is over: {held.state.phase}.",
                    remedy="Nothing to do.",
                )
            held.save(turned(held.state, "rolling_back", reason, self.clock(), verdict="abort"))
            self._settle(held)

        return self._finished(held, turn_back)

    def run(self, *, every_s: float, checks: int) -> Iterator[CanaryState | MarqueeError]:
        """Check again and again until the rollout is over, at most so many times.

        What the next check may mend is yielded and does not end the loop.

        Raises:
            CanaryError: there is no rollout, or its record can't be read.
        """
        for number in range(checks):
            if number:
                self.pause(every_s)
            try:
                state = self.check()
            except (CanaryBusyError, DeploymentError, ObjectStoreError) as error:
                yield error
                continue
            yield state
            if state.is_over:
                return

    def _take(self) -> _Held:
        return _Held(self.record, self.record.take(self.holder, now=self.clock(), lasting=LEASE))

    def _finished(self, held: _Held, work: Callable[[_Held], None]) -> CanaryState:
        """Work with the turn, then give it back; one that was lost is not touched again."""
        try:
            work(held)
        except CanaryBusyError:
            raise
        except (MarqueeError, KeyboardInterrupt):
            held.release()
            raise
        held.release()
        return held.state

    def _look(self, held: _Held) -> None:
        before = held.state.step_since
        status = self._settle(held)
        if held.state.phase != "stepping" or before is None or held.state.step_since != before:
            return  # a step that has just begun has nothing to show
        state, now = held.state, self.clock()
        observation = self._observe(state, status, now)
        after, decision = decide(state, observation, now=now)
        self.record.decided(record_of(state, observation, after, decision, now=now))
        held.save(after)
        if decision.verdict in {"promote", "roll_back"}:
            self._settle(held)

    def _observe(self, state: CanaryState, status: DeploymentStatus, now: datetime) -> Observation:
        """What the decision sees; faults of the metrics store are something to see, too."""
        since = state.step_since
        if state.current.percent == 0 or since is None:
            return Observation(is_ready=status.is_canary_ready)
        recently = max(since, now - timedelta(minutes=state.config.recent_minutes))
        try:
            whole, recent = (
                self.metrics.read(state.champion, state.canary, since=begin, until=now)
                for begin in (since, recently)
            )
        except MetricsUnavailableError as error:
            return Observation(is_ready=status.is_canary_ready, missing=error.problem)
        missing = "" if whole is not None and recent is not None else "an arm has no metrics"
        return Observation(
            is_ready=status.is_canary_ready,
            whole=whole if recent is not None else None,
            recent=recent,
            missing=missing,
        )

    def _settle(self, held: _Held) -> DeploymentStatus:
        """Bring the cluster to what the state says, and the state to what the cluster is.

        Raises:
            DeploymentError: it could not be done within the attempts.
        """
        fault = DeploymentError(
            f"the deployment did not become what it was told to be in {ATTEMPTS} attempts.",
            remedy="Look at its status; the next check goes on.",
        )
        for _ in range(ATTEMPTS):
            try:
                status = self.deployment.status()
                state, act = reconcile(held.state, status, now=self.clock())
                held.save(state)
                if act is None:
                    return status
                self._act(held, act, status)
            except DeploymentConflictError as error:
                fault = error
            except DeploymentUnavailableError as error:
                fault = error  # it may have been done: look again
                self.pause(PAUSE_S)
            except CanaryNotReadyError as error:
                held.save(postpone(held.state, error.problem, now=self.clock())[0])
                if held.state.phase != "rolling_back":
                    return self.deployment.status()
        raise fault

    def _act(self, held: _Held, act: Act, status: DeploymentStatus) -> None:
        self.record.require(held.turn)
        if act.kind == "set":
            self.deployment.set_canary(held.state.canary, act.percent, expect=status.version)
        elif act.kind == "promote":
            self.deployment.promote(held.state.canary, expect=status.version)
        elif act.kind == "drop":
            self.deployment.drop_canary(expect=status.version)
        else:
            words = "champion"
            if self.crown is not None:
                words = self.crown(held.state.canary, instead_of=held.state.champion)
            held.save(turned(held.state, "promoted", words, self.clock(), verdict="done"))
