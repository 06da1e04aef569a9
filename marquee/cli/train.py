"""`marquee train`: run, then show the metrics, the verdict and three people's lists."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from marquee import schema
from marquee.adapters.data_versions import pin
from marquee.assessment import HEADLINE, TWO_STAGE, Assessment
from marquee.cli.configuration import load_config
from marquee.cli.lists import list_table
from marquee.cli.progress import RichObserver
from marquee.cli.render import OUT, facts, print_json, table
from marquee.data.datasets.prepare import storage_name
from marquee.data.histories import Queries
from marquee.features.user_rows import query_after
from marquee.packing import displayed
from marquee.ranking.second_stage import SecondStageChoice
from marquee.recommend import Recommender
from marquee.run import RunSummary, run_training
from marquee.run_folder import METRICS, REPORT
from marquee.settings import Settings

SHOWN = ("ndcg@10", "ndcg@1", "precision@12", "recall@10", "mrr@10", "coverage@10")
"""Metrics of the table; all of them are in metrics.json."""
SHOWN_NARROW = ("ndcg@10", "ndcg@1", "precision@12", "mrr@10")
"""Those of them that fit a terminal of 80 columns."""
WIDE = 100
"""Columns from which on all of `SHOWN` fit."""
EXAMPLE_LENGTH = 8


def train_and_show(
    name: str,
    config: Path | None,
    *,
    source: str | None,
    seed: int | None,
    runs: Path | None,
    as_json: bool,
    data_rev: str | None = None,
) -> None:
    """Run and report; exit with 1 where the gate refuses the challenger."""
    settings = Settings.from_environment().with_runs(runs)
    training_config = load_config(config, seed)
    storage = storage_name(name, source=source, config=training_config.dataset)
    pinned = pin(name, storage, settings, rev=data_rev) if data_rev is not None else None
    with RichObserver() as observer:
        summary = run_training(
            name,
            training_config,
            pinned.settings if pinned else settings,
            now=datetime.now(UTC),
            observer=observer,
            source=source,
            pinned=pinned.prepared if pinned else None,
        )
    if as_json:
        found = {"bundle_id": summary.bundle_id, "run": str(summary.folder), "study": summary.study.path}
        print_json({**summary.metrics, **found})
    else:
        show_summary(summary, settings)
    if not summary.result.assessment.gate.passed:
        raise typer.Exit(1)


def show_summary(summary: RunSummary, settings: Settings) -> None:
    """Print what a run found, for people."""
    OUT.print()
    OUT.print(facts("Data", _data_facts(summary)))
    OUT.print()
    OUT.print(metrics_table(summary.result.assessment))
    OUT.print()
    OUT.print(verdict(summary.result.assessment))
    for title, example in example_lists(summary):
        OUT.print()
        OUT.print(list_table(title, example))
    OUT.print()
    OUT.print(facts("Run", _run_facts(summary)))
    OUT.print()
    OUT.print("[bold]Next[/]")
    for command, purpose in _next_commands(summary, settings):
        OUT.print(f"  {escape(command)}  [dim]# {purpose}[/]", soft_wrap=True)


def _next_commands(summary: RunSummary, settings: Settings) -> list[tuple[str, str]]:
    """Commands to try and what they are for, padded to one width."""
    runs = [] if settings.runs == Path("runs") else ["--runs", str(settings.runs)]
    purposes = {
        ("recommend", "--user", _example_user(summary)): "a list for somebody",
        ("similar", _popular_item(summary)): "items like one",
        ("bundle", "inspect"): "what was learned, and from what",
        ("evaluate",): "measure the run's model again",
    }
    commands = [shlex.join([".venv/bin/marquee", *words, *runs]) for words in purposes]
    width = max(map(len, commands))
    return [(command.ljust(width), why) for command, why in zip(commands, purposes.values(), strict=True)]


def metrics_table(assessment: Assessment) -> Table:
    """Every model's metrics, the best of each column in bold; lift is the two-stage's over the row."""
    evaluation = assessment.evaluation
    shown = SHOWN if OUT.width >= WIDE else SHOWN_NARROW
    labels = [label for label in shown if label in evaluation.means[TWO_STAGE]]
    made = table(
        f"Metrics over {evaluation.n_queries} users; lift of {TWO_STAGE} on {HEADLINE}",
        ["model", *labels, r"lift \[95 % interval]"],
    )
    best = {label: max(means[label] for means in evaluation.means.values()) for label in labels}
    order = sorted(evaluation.means, key=lambda model: evaluation.means[model][HEADLINE], reverse=True)
    for model in order:
        means = evaluation.means[model]
        cells = [
            f"[bold]{means[label]:.4f}[/]" if means[label] == best[label] else f"{means[label]:.4f}"
            for label in labels
        ]
        made.add_row(model, *cells, _lift(assessment, model))
    return made


def _lift(assessment: Assessment, reference: str) -> str:
    found = assessment.evaluation.comparisons.get(TWO_STAGE, {}).get(reference, {}).get(HEADLINE)
    if found is None:
        return ""
    lift = found.lift
    if not np.isfinite(lift.estimate):
        return "undefined"  # the reference is zero: nothing to be a multiple of
    return rf"{lift.estimate:+.1%} \[{100 * lift.low:+.1f}, {100 * lift.high:+.1f}]"


def verdict(assessment: Assessment) -> Group:
    """The gate's verdict and its grounds, and the ceiling that the first stage sets."""
    gate = assessment.gate
    grounds = Table.grid(padding=(0, 1))
    for check in gate.checks:
        grounds.add_row(" [green]✓[/]" if check.passed else " [red]✗[/]", escape(check.reason))
    for note in gate.notes:
        if "no guardrail" not in note:
            grounds.add_row("", f"[dim]{escape(note)}[/]")
    recalls = ", ".join(f"{name} {value:.3f}" for name, value in assessment.recall_ceiling.items())
    return Group(
        "[bold green]Gate: passed[/]" if gate.passed else "[bold red]Gate: refused[/]",
        grounds,
        f"[dim]Recall of the candidates, which no ranker can exceed: {recalls}[/]",
    )


def _data_facts(summary: RunSummary) -> dict[str, object]:
    prepared, events = summary.prepared, summary.dataset.interactions
    shown: dict[str, object] = {
        "data set": f"{prepared.name} ({prepared.source})",
        "events": f"{len(events):,} of {len(events.users):,} users and {len(events.items):,} items",
        "snapshot": prepared.snapshot.id[:16],
    }
    if (report := prepared.ingest) is not None and report.files:
        shown["ingest"] = (
            f"{report.read:,} read = {report.new:,} new + {report.duplicate:,} duplicate"
            f" + {report.quarantined:,} quarantined"
        )
    shown.update({f"note {number}": note for number, note in enumerate(prepared.notes, start=1)})
    return shown


def _run_facts(summary: RunSummary) -> dict[str, object]:
    seconds = summary.metrics["seconds"]
    return {
        "bundle": f"{summary.folder / 'bundle'}  (id {summary.bundle_id})",
        "metrics": summary.folder / METRICS,
        "report": summary.folder / REPORT,
        "second stage": _second_stage(summary.result.second_stage),
        **({"search": summary.study.note} if summary.study.note else {}),
        "took": f"{sum(seconds.values()):.0f} s, at most {summary.metrics['peak_rss_mb']:,.0f} MB of memory",
    }


def _second_stage(choice: SecondStageChoice) -> str:
    if not choice.ndcg:
        return choice.chosen
    compared = ", ".join(f"{name} {value:.3f}" for name, value in choice.ndcg.items())
    return f"{choice.chosen}  (NDCG on {choice.n_queries:,} past queries: {compared})"


def example_lists(summary: RunSummary) -> list[tuple[str, pl.DataFrame]]:
    """Lists for a known user, for a new one with three clicks and for one without history."""
    recommender, result = summary.result.recommender, summary.result
    movies = summary.dataset.movies
    now_us = int(recommender.catalogue.states.moments_us[-1])
    clicks = _three_clicks(recommender)
    known = result.test.take(np.array([len(result.test) - 1])).queries
    new = query_after(recommender.items.decode(clicks), time_us=now_us, items=recommender.items)
    none = query_after([], time_us=now_us, items=recommender.items)
    user = _example_user(summary)
    titles = ", ".join(named(recommender, movies, clicks)[schema.TITLE].fill_null("?"))
    return [
        (
            f"For user {user}, after {known.histories.lengths[0]} events",
            _list(result.recommender, known, movies),
        ),
        (f"For somebody new who clicked {titles}", _list(recommender, new, movies)),
        ("For somebody without any history", _list(recommender, none, movies)),
    ]


def _example_user(summary: RunSummary) -> str:
    """The last test user."""
    index = summary.result.test.queries.user_index[-1]
    return summary.dataset.interactions.users.decode(np.array([index]))[0]


def _popular_item(summary: RunSummary) -> str:
    recommender = summary.result.recommender
    return recommender.items.decode(np.array([_most_chosen(recommender)]))[0]


def _most_chosen(recommender: Recommender) -> int:
    counts = recommender.catalogue.states.column(schema.ITEM_EVENTS_ALL)[-1]
    return int(np.argmax(np.nan_to_num(counts)))


def _three_clicks(recommender: Recommender) -> NDArray[np.int64]:
    """The most chosen item and the two most like it."""
    first = _most_chosen(recommender)
    others = recommender.similar(first, 2).item_index[0]
    return np.array([first, *others[others >= 0]], np.int64)


def _list(recommender: Recommender, query: Queries, movies: pl.DataFrame | None) -> pl.DataFrame:
    lists = recommender.recommend(query, EXAMPLE_LENGTH)
    shown = lists.item_index[0] >= 0
    return named(recommender, movies, lists.item_index[0][shown]).with_columns(
        pl.Series("score", lists.score[0][shown])
    )


def named(
    recommender: Recommender, movies: pl.DataFrame | None, item_index: NDArray[np.integer]
) -> pl.DataFrame:
    """Items with what is shown of them, in order."""
    return displayed(recommender.items, movies)[item_index.astype(np.int64)]
