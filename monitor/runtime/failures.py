"""What dies in this process is heard of: logged with its cause, and counted by name."""

from monitor.metrics.tasks import TASK_FAILURES
from monitor.runtime import log

_log = log.get(__name__)


def heard(task: str, error: BaseException, **fields: str) -> None:
    """Log and count that a thread or a task died of `error`; `task` is one of a closed set."""
    TASK_FAILURES.labels(task).inc()
    _log.error("task failed", task=task, exc_info=error, **fields)
