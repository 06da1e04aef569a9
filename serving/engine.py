"""From checked instances to predictions: assign, read the user's row, make the list, log it."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from marquee import schema
from marquee.adapters.exposures.log import ExposureLog
from marquee.errors import RequestError
from marquee.experiments.assignment import Assignment, assign
from marquee.experiments.config import ExperimentsConfig
from marquee.features.item_matrix.matrix import microseconds
from serving.answered import Answered, exposure, logged_row, prediction
from serving.lists import PROFILE, features_hash, make_list, make_popular
from serving.metrics import Metrics
from serving.protocol import Instance, InvalidRequestError, moment_us
from serving.records import Records
from serving.scoring import ScoringThread
from serving.slots import Slots
from serving.tracing import CALL
from serving.user_rows import NOBODY, READERS, UserRows, UserState

MAX_WAITING: Final = 64
"""Lists that may wait for the scoring thread; beyond, a request gets the popular ones at once."""
QUICK_ITEMS: Final = 20_000
"""Of so many movies the event loop makes all but home lists itself, sooner than a thread would begin."""
KNOWN_LIMITS: Final = 100_000
"""Users whose maturity limit is remembered for when their row is out of reach."""
_VIEW_MARKS: Final = {
    schema.USER_ACTIVITY_VIEW: schema.USER_EVENTS_ALL,
    schema.USER_PROFILE_VIEW: schema.USER_AGE,
}
"""A feature of each view by which to see whether it has a row."""


@dataclass
class Engine:
    """Everything between the protocol and the model.

    The event loop decides and waits; one thread makes the lists that take long, so that they never hold
    up health checks, and a core is used by one of them at a time.
    """

    slots: Slots
    rows: UserRows
    metrics: Metrics
    exposures: ExposureLog | None = None
    experiments: ExperimentsConfig = field(default_factory=ExperimentsConfig)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _scoring: ScoringThread = field(default_factory=ScoringThread, repr=False)
    records: Records = field(init=False, repr=False)
    _waiting: int = 0
    _under_way: int = 0
    _limits: "OrderedDict[str, float | None]" = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        self.records = Records(self._note)
        self.metrics.before_reading = self.records.flush
        self.metrics.inflight.set_function(lambda: self._under_way)

    async def predict(self, instances: Sequence[Instance], request_id: str) -> list[dict[str, Any]]:
        """The predictions of one call, in its order.

        No more of them are under way than there are readers: all at once would wait for each other beyond
        the store's limit, and for that the store would be left alone.

        Raises:
            InvalidRequestError: an experiment or a variant that is asked for does not exist.
        """
        assigned = [self._assign(each, place) for place, each in enumerate(instances)]
        if len(instances) == 1:
            return [await self._counted(instances[0], assigned[0], request_id)]
        turns = asyncio.Semaphore(READERS)

        async def in_turn(place: int) -> dict[str, Any]:
            async with turns:
                return await self._counted(instances[place], assigned[place], f"{request_id}-{place}")

        return list(await asyncio.gather(*map(in_turn, range(len(instances)))))

    def _assign(self, instance: Instance, place: int) -> tuple[Assignment, ...]:
        if instance.user_id is None and not instance.variants:
            return ()
        try:
            found = assign(
                instance.user_id or "",
                self.experiments,
                surface=instance.surface,
                overrides=instance.variants,
            )
        except RequestError as error:
            raise InvalidRequestError(f"instances[{place}].variants: {error}") from error
        # Somebody unknown would always be the same one: no draw.
        return found if instance.user_id else tuple(each for each in found if each.is_override)

    async def _counted(
        self, instance: Instance, assignments: tuple[Assignment, ...], request_id: str
    ) -> dict[str, Any]:
        self._under_way += 1
        try:
            return await self._answer(instance, assignments, request_id)
        finally:
            self._under_way -= 1

    async def _answer(
        self, instance: Instance, assignments: tuple[Assignment, ...], request_id: str
    ) -> dict[str, Any]:
        began = perf_counter()
        stamp = instance.context.timestamp
        now = self.now()
        now_us = microseconds(now)
        time_us = moment_us(stamp) if stamp else now_us
        wanted = next((each.bundle for each in assignments if each.bundle is not None), None)
        slot = self.slots.slot(wanted)
        is_busy = self._waiting >= MAX_WAITING
        user = NOBODY
        if instance.user_id is not None:
            user = (
                UserState(NOBODY.values, "overloaded")
                if is_busy
                else await self.rows.get(instance.user_id, now)
            )
        answered = Answered(request_id, instance, slot, assignments, user, [], time_us, now_us)
        answered.seconds["row"] = perf_counter() - began
        if self.slots.wants_another(wanted, slot):
            answered.degraded.append("bundle_absent")
        self._know_limit(answered)
        await self._list(answered, is_busy=is_busy)
        answered.seconds["total"] = perf_counter() - began
        if (call := CALL.get()) is not None:
            call.note(answered)
        self.records.add(answered)
        return prediction(answered)

    def _know_limit(self, answered: Answered) -> None:
        """Remember what the profile allows; where it is out of reach, what it last allowed."""
        user_id, user = answered.instance.user_id, answered.user
        if user_id is None or (user.fault is None and self._is_plausible(user_id, user)):
            return
        # A store that was emptied knows nobody, and one being filled knows some views before the others.
        fault = user.fault or "row_lost"
        answered.degraded.append(fault)
        fallback = answered.slot.answering.recommender.policy.limit_without_profile
        limit = self._limits.get(user_id, fallback)
        answered.user = UserState({**user.values, schema.USER_MATURITY_LIMIT: limit}, fault)

    def _is_plausible(self, user_id: str, user: UserState) -> bool:
        """Whether a row can be all that there is of a user, going by what was there before."""
        if not user.is_known:
            return user_id not in self._limits  # somebody new
        has_profile = any(user.values.get(name) is not None for name in PROFILE)
        if not has_profile and self._limits.get(user_id) is not None:
            return False
        self._limits[user_id] = user.values.get(schema.USER_MATURITY_LIMIT)
        self._limits.move_to_end(user_id)
        if len(self._limits) > KNOWN_LIMITS:
            self._limits.popitem(last=False)
        return True

    async def _list(self, answered: Answered, *, is_busy: bool) -> None:
        if is_busy:
            if "overloaded" not in answered.degraded:  # a user's row that was not asked for says it, too
                answered.degraded.append("overloaded")
            make_popular(answered)
            return
        n_items = len(answered.slot.answering.recommender.items)
        if answered.instance.surface != "home" and n_items <= QUICK_ITEMS:
            make_list(answered)
            answered.seconds["wait"] = 0.0
            return
        self._waiting += 1
        asked = perf_counter()
        try:
            await self._scoring.submit(make_list, answered, asyncio.get_running_loop())
        finally:
            self._waiting -= 1
        answered.seconds["wait"] = perf_counter() - asked - answered.seconds["list"]

    def _note(self, answered: Answered) -> None:
        """Count an answer, and log it."""
        self._count(answered)
        if self.exposures is not None:
            self._expose(answered, self.exposures)

    def _count(self, answered: Answered) -> None:
        metrics, surface, slot = self.metrics, answered.instance.surface, answered.slot
        outcome = "degraded" if answered.degraded else "ok" if answered.listed.items else "empty"
        metrics.request(surface, slot.name, slot.bundle_id, outcome).inc()
        metrics.request_time(surface, slot.name).observe(answered.seconds["total"])
        for stage in ("row", "wait", "list"):
            if stage in answered.seconds:
                metrics.stage(stage).observe(answered.seconds[stage])
        for reason in answered.degraded:
            metrics.degraded.labels(reason).inc()
        if answered.listed.is_fallback:
            metrics.fallback.labels(surface).inc()
        for route, n_shown in Counter(item.route for item in answered.listed.items).items():
            metrics.item(slot.name, route).inc(n_shown)
        if surface == "home" and answered.listed.items:
            metrics.candidate(slot.name).observe(answered.listed.n_candidates)
            metrics.best_score(slot.name).observe(answered.listed.items[0].score)
        if answered.instance.user_id is not None and answered.user.fault in {None, "row_lost"}:
            for view, mark in _VIEW_MARKS.items():
                if answered.user.values.get(mark) is None:
                    metrics.missing.labels(view).inc()

    def _expose(self, answered: Answered, log: ExposureLog) -> None:
        if "overloaded" not in answered.degraded:  # then nothing was known
            answered.features_hash = features_hash(answered)
        log.offer(exposure(answered))
        is_whole = answered.instance.user_id is not None and not answered.degraded
        if is_whole and self.rows.service_hash and log.wants_row(answered.request_id):
            log.offer_row(logged_row(answered, self.rows.service_hash))

    def close(self) -> None:
        """Finish what was begun."""
        self._scoring.close()
        self.records.flush()
        self.rows.close()
