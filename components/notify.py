"""Say how a run ended."""

from kfp import dsl

from components._image import component


@component
def notify(run_id: str, reason: str, status: dsl.PipelineTaskFinalStatus) -> str:
    """Write the final status to the log, and post it to MARQUEE_NOTIFY_URL; never fails a run by itself.

    Args:
        run_id: What the run is called.
        reason: Why it was started.
        status: How the run ended; Kubeflow fills it in.

    Returns:
        What was said.
    """
    from marquee.steps.notify import notify
    from marquee.steps.task import Task

    return notify(
        run_id=run_id, reason=reason, state=status.state, error=status.error_message or "", task=Task.here()
    )
