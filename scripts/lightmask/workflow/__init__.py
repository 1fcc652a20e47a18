"""What runs of a workflow engine need: the night, its plan, the run, locks, logs, progress, workarounds.

Jobs need logs only: what takes long to import is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightmask.workflow.logs import fault, logged_to
from lightmask.workflow.memory import memory_limit

if TYPE_CHECKING:
    from lightmask.workflow.gone import remove_results, results_of_gone_frames
    from lightmask.workflow.night import ACCURACY, DEMO, Night
    from lightmask.workflow.plan import BATCH_CORES
    from lightmask.workflow.run import Run
    from lightmask.workflow.workarounds import Engine, distinct_labels, is_runnable, shown_in_report, with_signature

__all__ = [
    "ACCURACY",
    "BATCH_CORES",
    "DEMO",
    "Engine",
    "Night",
    "Run",
    "distinct_labels",
    "fault",
    "is_runnable",
    "logged_to",
    "memory_limit",
    "nested",
    "remove_results",
    "results_of_gone_frames",
    "shown_in_report",
    "with_signature",
]
_MODULES = {
    "ACCURACY": "night",
    "DEMO": "night",
    "Night": "night",
    "results_of_gone_frames": "gone",
    "remove_results": "gone",
    "BATCH_CORES": "plan",
    "Run": "run",
    "Engine": "workarounds",
    "distinct_labels": "workarounds",
    "is_runnable": "workarounds",
    "shown_in_report": "workarounds",
    "with_signature": "workarounds",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"lightmask.workflow.{_MODULES[name]}"), name)
    if name == "nested":
        return import_module("lightmask.workflow.nested")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
