"""Say how a run ended."""

import logging

from marquee.adapters.webhook import post_text
from marquee.errors import ConfigError
from marquee.steps.task import Task


def notify(*, run_id: str, reason: str, state: str, error: str, task: Task) -> str:
    """Log how a run ended, and post it where the settings name a webhook (`tell`).

    Returns:
        The message.
    """
    message = f"marquee {run_id}: {state}" + (f" (started by {reason})" if reason else "")
    if error:
        message += f"\n{error}"
    tell(message, task)
    return message


def tell(message: str, task: Task, *, is_for_people: bool = True) -> None:
    """Log a message, and post it where it is for people and the settings name a webhook.

    One that can't be delivered is logged and fails nothing.
    """
    log = logging.getLogger("marquee.steps")
    log.info(message)
    if is_for_people and task.settings.notify_url:
        try:
            failed = post_text(task.settings.notify_url, message)
        except ConfigError as refused:
            failed = str(refused)
        if failed:
            log.warning(failed)
