"""Progress on standard error: one line a stage, a bar while it lasts."""

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from marquee.cli.render import ERR


class RichObserver:
    """Shows the stages of a run; the bars vanish and a line with the seconds stays."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=ERR,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, stage: str) -> None:
        """Show a bar of unknown length."""
        self._task = self._progress.add_task(stage, total=None)

    def advance(self, done: float, total: float) -> None:
        """Move the bar; a total of 0 is unknown."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total or None)

    def finish(self, stage: str, seconds: float) -> None:
        """Replace the bar by a line."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = None
        self._progress.console.print(f"  [green]✓[/] {stage:<24} [dim]{seconds:6.1f} s[/]")
