"""What runs of a workflow engine need: locks, logs, progress, batches, digests of code."""

from lightmask.workflow.logs import fault, logged_to
from lightmask.workflow.memory import memory_limit

__all__ = ["fault", "logged_to", "memory_limit"]
