"""The drift check of a replay: the product's statistics and policy on a window and all that was before."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from marquee import schema
from marquee.monitoring.decision import Decision, WindowFacts
from marquee.monitoring.drift import calibrate, judge_window
from marquee.monitoring.drift_config import DriftConfig
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_frame import to_frame
from marquee.monitoring.window import window_of
from marquee.replay.learner import Trained
from marquee.replay.serving import Asker
from marquee.replay.timeline import Span, warm_up_spans
from marquee.replay.world import World


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists and their quality, as `window_of` takes them."""

    shown: pl.DataFrame
    quality: pl.DataFrame

    @classmethod
    def joined(cls, parts: list["Lists"]) -> "Lists | None":
        """All of them; None where there are none."""
        if not parts:
            return None
        return cls(pl.concat([each.shown for each in parts]), pl.concat([each.quality for each in parts]))


@dataclass(eq=False)
class Watch:
    """What the drift check remembers of one policy's walk."""

    world: World
    asker: Asker
    config: DriftConfig
    storage: str
    seed: int
    state: DriftState = field(default_factory=DriftState)
    _past: list[Lists] = field(default_factory=list)
    """Of the model that serves, in windows before; each model begins its own."""
    _model_id: str = ""

    def look(self, number: int, model: Trained, lists: Lists) -> Decision:
        """Decide about a window, and remember it.

        Args:
            number: of the window, from 1.
            model: that served in it.
            lists: which users saw.
        """
        if model.id != self._model_id:
            self._model_id, self._past = model.id, self._of_twin(model)
        feed = self.world.feeds[number - 1]
        length_us = feed.span.end_us - feed.span.start_us
        before = Lists.joined(self._past)
        known = self.world.known(number - 1)
        time_us = pl.col(schema.TIMESTAMP).dt.epoch("us")
        whole = (feed.span.start_us - int(known[schema.TIMESTAMP].dt.epoch("us").to_numpy()[0])) // length_us
        reference = window_of(
            "before", known.filter(time_us >= feed.span.start_us - max(whole, 1) * length_us),
            users=self.world.dataset.users, movies=self.world.dataset.movies,
            shown=before.shown if before else None, quality=before.quality if before else None,
            span_us=length_us, last_us=feed.span.start_us - 1,
        )  # fmt: skip
        current = window_of(
            feed.span.name, feed.tables.events, users=feed.tables.users, movies=feed.tables.movies,
            shown=lists.shown, quality=lists.quality,
        )  # fmt: skip
        decision = judge_window(
            calibrate(reference, config=self.config, seed=self.seed), current, self._facts(number, model),
            state=self.state, quality=feed.quality,
        )  # fmt: skip
        self.state = decision.state_after
        self._past.append(lists)
        return decision

    def _facts(self, number: int, model: Trained) -> WindowFacts:
        span, known = self.world.spans[number - 1], self.world.known(number)
        learned = known.filter(known[schema.TIMESTAMP].dt.epoch("us") < model.learned_until_us)
        return WindowFacts(
            window_id=f"{self.storage}-{span.name}", ended_at_us=span.end_us, bundle_id=model.id, users=0,
            users_in_window=0, reference_users=0, pool=0, learned_events=len(learned),
            known_events=len(known), learned_users=learned[schema.USER_ID].n_unique(),
            known_users=known[schema.USER_ID].n_unique(),
            inputs={"dataset": self.world.dataset.snapshot_id, "bundle": model.id},
        )  # fmt: skip

    def _of_twin(self, model: Trained) -> list[Lists]:
        """What the model's twin would have shown between its cut and the model's last event.

        A model has no lists of its own before it serves, and is no fair judge of what it learned from.
        """
        first = Span(1, model.learned_until_us, model.learned_until_us)
        found = []
        for span in warm_up_spans(first, model.split.cut_us + 1, self.world.config.window_days):
            if len(self.asker.moments(span)):
                served = self.asker.ask(f"{model.id} twin", model.evaluated, span)
                found.append(
                    Lists(shown_frame(served.exposures(model.id, self.world.config.n)), served.quality)
                )
        return found


def shown_frame(exposures: Iterable[Exposure]) -> pl.DataFrame:
    """A row a place, as the exposure log's frame has them."""
    columns = [schema.USER_ID, schema.TIMESTAMP, schema.POSITION, schema.SCORE, schema.ROUTE]
    return to_frame(exposures).select(columns)
