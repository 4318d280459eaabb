"""The Prometheus family about what dies in this process."""

from prometheus_client import Counter

TASK_FAILURES = Counter(
    "monitor_task_failures",
    "Threads and tasks that died of an error, by name; workers are begun again, a call whose part "
    "died ends as `fault`, and the log has the cause",
    ["task"],
    registry=None,
)
"""One for the process, in every registry: a task knows its loop and no service."""
