"""All that this package knows of the inside of Snakemake and its plugins: what it reads, and what it works around.

Nothing here replaces an attribute of Snakemake. One defect of a plugin leaves no other way:
`poll_slurm_steadily` says which, and for which versions.
"""

import functools
import inspect
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from importlib.machinery import PathFinder
from logging import Logger
from pathlib import Path
from types import FrameType
from typing import Any

from lightmask import messages
from lightmask.night import configfiles

SLURM_PLUGIN = "snakemake-executor-plugin-slurm"


class Engine:
    """What is read of a run of Snakemake, mostly of attributes that its documentation does not name.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        As ``workflow`` in a Snakefile.
    checkout : Path
        Folder of our Snakefile.
    """

    def __init__(self, workflow: Any, checkout: Path):
        self._workflow = workflow
        self.checkout = checkout
        # A module statement changes the modifier for as long as it reads a Snakefile.
        self._modify = workflow.modifier.path_modifier.modify

    def place(self, path: str) -> Path:
        """Return where a result lies, given as in the Snakefile: a module statement may set a prefix.

        Parameters
        ----------
        path : str
            As in the Snakefile.

        Returns
        -------
        Path
            Relative to the working directory.
        """
        return Path(str(self._modify(path)))

    @property
    def reads_configfiles(self) -> bool:
        """Whether files of configuration count. A module that is given its configuration reads none."""
        return not self._workflow.modifier.skip_configfile

    def check_configfiles(self, logger: Logger) -> None:
        """Refuse files of configuration that Snakemake would misread, before it loads them.

        Parameters
        ----------
        logger : Logger
            Where to report what is wrong with them.
        """
        if not self.reads_configfiles:
            return
        own = [file for file in [Path("config.yaml")] if file.exists()]
        try:
            configfiles.check([self.checkout / "config.yaml", *own, *self._workflow.overwrite_configfiles])
        except ValueError as error:
            logger.error(str(error))
            sys.exit(1)

    @property
    def frames_of_command_line(self) -> Any:
        """The frames folder that the command line names; None if it does not."""
        return self._workflow.config_settings.overwrite_config.get("frames")

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that a user started, and not one of its jobs."""
        return bool(self._workflow.is_main_process)

    @property
    def is_imported(self) -> bool:
        """Whether another Snakefile imports ours."""
        return Path(self._workflow.main_snakefile).resolve() != (self.checkout / "Snakefile").resolve()

    @property
    def is_dry(self) -> bool:
        """Whether nothing will be made."""
        return bool(self._workflow.output_settings.dryrun)

    @property
    def is_reporting(self) -> bool:
        """Whether a report is being made.

        Snakemake sets nothing that tells a report from a list of jobs, so its call is looked for.
        """
        frame: FrameType | None = sys._getframe()
        while frame and frame.f_code.co_qualname != "Workflow.create_report":
            frame = frame.f_back
        return frame is not None

    def force(self, output: str) -> None:
        """Have a result made although it is there, as ``--forcerun`` does; while the jobs are planned.

        Parameters
        ----------
        output : str
            Where the result lies.
        """
        self._workflow.dag.forcefiles.add(output)

    def makes(self, folder: Path) -> bool:
        """Return whether a rule makes a folder, or a file below it, or has to, as it is not there.

        Parameters
        ----------
        folder : Path
            As a rule would name it.

        Returns
        -------
        bool
            False where the folder is there, and no rule makes it.
        """
        below = f"{folder}/"
        return not folder.is_dir() or any(
            rule.is_producer(str(folder)) or any(str(output).startswith(below) for output in rule.output)
            for rule in self._workflow.rules
        )

    @property
    def jobs_to_run(self) -> list[Any]:
        """The jobs that are not done: each has ``rule.name`` and ``wildcards``."""
        return list(self._workflow.dag.needrun_jobs())

    @property
    def is_whole(self) -> bool:
        """Whether all jobs of the targets are asked for."""
        settings = self._workflow.dag_settings
        return not (settings.until or settings.omit_from or settings.batch)

    @property
    def forced(self) -> dict[str, Any]:
        """What a user forces, as `snakemake.settings.types.DAGSettings` has it."""
        settings = self._workflow.dag_settings
        return {"forceall": settings.forceall, "forcerun": sorted(settings.forcerun)}

    @property
    def sends_jobs_away(self) -> bool:
        """Whether jobs run on other machines that see the files of this one.

        Such jobs have a number at the most, and default resources. Without a shared file
        system they cannot know what others made.
        """
        resources = self._workflow.resource_settings
        shared = {str(usage) for usage in self._workflow.storage_settings.shared_fs_usage}
        return None not in (resources.nodes, resources.default_resources) and "input-output" in shared

    @property
    def runs_here(self) -> bool:
        """Whether jobs run on this machine."""
        return bool(self._workflow.local_exec)

    @property
    def most_jobs(self) -> int:
        """How many jobs may be sent away at a time."""
        return self._workflow.resource_settings.nodes or 1

    @property
    def cores(self) -> int:
        """Cores that jobs may use here."""
        return self._workflow.resource_settings.cores or 0

    def threads_of(self, rule: str, default: int) -> int:
        """Return the threads of a rule, which a profile may set.

        Parameters
        ----------
        rule : str
            Its name.
        default : int
            What the rule itself asks for.

        Returns
        -------
        int
            Cores of a job.
        """
        threads = self._workflow.resource_settings.overwrite_threads.get(rule, default)
        return int(getattr(threads, "raw", threads))

    @property
    def shell_prefix(self) -> str:
        """What Bash runs before each command as yet, which another Snakefile may have set."""
        from snakemake.shell import shell

        return shell._get_process_prefix("bash")

    @property
    def locks(self) -> bool:
        """Whether Snakemake locks its working directory."""
        return bool(self._workflow.execution_settings.lock)

    @property
    def shows_progress(self) -> bool:
        """Whether a user left Snakemake its words on progress."""
        quiet = {str(about).lower() for about in self._workflow.output_settings.quiet or ()}
        return not quiet & {"all", "progress"}

    def has_events(self, names: Iterable[str]) -> bool:
        """Return whether Snakemake's interface for loggers knows events by these names.

        Parameters
        ----------
        names : iterable of str
            As in records of its logger.

        Returns
        -------
        bool
            Whether all are known.
        """
        from snakemake_interface_logger_plugins.common import LogEvent

        return {*names} <= {str(event) for event in LogEvent}

    def nested_settings(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return what a Snakemake inside a job has to know of this one; see `nested.Settings`.

        Parameters
        ----------
        config : dict
            The configuration, as a user could have given it.

        Returns
        -------
        dict
            `nested.Settings`.
        """
        deployment = self._workflow.deployment_settings
        prefix = deployment.conda_prefix
        return {
            "python": sys.executable,
            "snakefile": str(self.checkout / "Snakefile"),
            "config": {**config, "frames_per_job": 0},
            "rerun_triggers": sorted(map(str, self._workflow.rerun_triggers)),
            "deployment": sorted(map(str, deployment.deployment_method)),
            "conda_prefix": os.path.abspath(prefix) if prefix else None,
        }

    def poll_slurm_steadily(self) -> None:
        """Ask Slurm for the status of jobs as often as ``--seconds-between-status-checks`` says.

        For version 2.8 of Snakemake's plugin, which has no option for either: its issues 319 and 207.
        Each time that no job has ended it waits 10 s longer, up to 180 s, and the whole run with it;
        one ``squeue`` for all jobs is no burden. While slurmctld does not answer, the plugin turns to
        ``sacct``, even if ``squeue`` was chosen, where there is a program of that name. Without a
        database that never answers, and the run would hang.
        """
        executor: Any = sys.modules.get("snakemake_executor_plugin_slurm")
        if executor is None or not metadata.version(SLURM_PLUGIN).startswith("2.8."):
            return
        if getattr(self._workflow.executor_settings, "status_command", "") != "squeue":
            return
        executor.Executor.next_seconds_between_status_checks = property(
            lambda self: self.workflow.remote_execution_settings.seconds_between_status_checks,
            lambda self, seconds: None,
        )
        has_tool = executor.is_query_tool_available
        executor.is_query_tool_available = lambda tool: tool != "sacct" and has_tool(tool)


def interpreter_prefix(interpreter: str) -> str:
    """Return Bash that makes a path with blanks a command, as Snakemake writes it into its commands unquoted.

    Snakemake's issue 2645, in all versions. Bash splits the path into words and takes the first for the
    command: a function of that name drops the other words of the path and runs the interpreter. It works
    for blanks, and not for quotes or other letters that mean something to Bash. Where Snakemake quotes the
    path the function is never called.

    Parameters
    ----------
    interpreter : str
        Path of Python.

    Returns
    -------
    str
        Empty where nothing needs to be done.

    Examples
    --------
    >>> interpreter_prefix("/opt/my env/bin/python")
    'function /opt/my { shift 1; command "/opt/my env/bin/python" "$@"; }; '
    >>> interpreter_prefix("/opt/env/bin/python")
    ''
    """
    first, *others = interpreter.split()
    if not others:
        return ""
    quoted = interpreter.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'function {first} {{ shift {len(others)}; command "{quoted}" "$@"; }}; '


def library_prefix(scripts: Path) -> str:
    """Return Bash that lets jobs import the library that stands beside their scripts.

    In all versions Snakemake has a script look for it in the packages of the environment first, and then
    beside itself. The library of a clone would run nowhere where another one is installed.

    Parameters
    ----------
    scripts : Path
        Folder of the scripts.

    Returns
    -------
    str
        Empty where no other library is found.
    """
    own = scripts / "lightmask" / "__init__.py"
    if not own.exists():
        return ""
    others = [path for path in sys.path if os.path.realpath(path) != os.path.realpath(scripts)]
    found = PathFinder.find_spec("lightmask", others)
    if found is None or found.origin is None or os.path.samefile(found.origin, own):
        return ""
    return f"export PYTHONPATH={shlex.quote(str(scripts))}${{PYTHONPATH:+:$PYTHONPATH}}; "


def is_runnable(interpreter: str, runs_here: bool) -> bool:
    """Return whether the commands of jobs can start Python by its path.

    Where they run here, `interpreter_prefix` takes care of blanks. Nothing takes care of a quote.

    Parameters
    ----------
    interpreter : str
        Path of Python.
    runs_here : bool
        Whether jobs run on this machine.

    Returns
    -------
    bool
        False where a command would be torn apart.
    """
    path = "".join(interpreter.split(" ")) if runs_here else interpreter
    return shlex.quote(path) == path


def distinct_labels(labels: Callable[[Any], Mapping[str, Any]]) -> Callable[[Any], dict[str, str]]:
    """Make labels of results fit for Snakemake's report, which does not escape them.

    In all versions. Of a label with two values the report makes a switch, and then fails to find results:
    invisible letters make every value but the first label's another one.

    Parameters
    ----------
    labels : callable
        Returns the labels of a result from the wildcards of its job. The first is another one for each.

    Returns
    -------
    callable
        Returns such labels.
    """
    numbers: dict[str, int] = {}

    @functools.wraps(labels)
    def distinct(wildcards: Any) -> dict[str, str]:
        (key, first), *others = labels(wildcards).items()
        number = numbers.setdefault(first, len(numbers))
        mark = "".join("\u200b\u200c"[int(digit)] for digit in f"{number:b}")
        return {key: first} | {name: without_markup(messages.printable(str(value))) + mark for name, value in others}

    return distinct


def shown_in_report(engine: Engine, parameter: Callable[..., Any]) -> Callable[..., Any]:
    """Make a parameter of a rule fit for Snakemake's report, which writes it into a script as it is.

    In all versions. A ``<`` in a path could end that script. Only reports get another sign for it.

    Parameters
    ----------
    engine : Engine
        Which knows whether a report is made.
    parameter : callable
        Returns the value of the parameter.

    Returns
    -------
    callable
        The same, but for reports.
    """

    @functools.wraps(parameter)
    def shown(*arguments: Any, **named: Any) -> Any:
        value = parameter(*arguments, **named)
        return without_markup(value) if engine.is_reporting else value

    return with_signature(shown)


def with_signature(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have the signature of a function of a rule ready, for which Snakemake asks several times a job.

    In all versions. Where a night has thousands of jobs, a quarter of its planning went to these answers:
    `inspect` takes longer for a bound method than most of ours take.

    Parameters
    ----------
    function : callable
        As a rule takes it.

    Returns
    -------
    callable
        The same, with ``__signature__``.
    """

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    called.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return called


def without_markup(value: Any) -> Any:
    """Return a text, or texts in lists and dictionaries, with another sign for ``<``."""
    if isinstance(value, str):
        return value.replace("<", "‹")
    if isinstance(value, Mapping):
        return {without_markup(key): without_markup(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_markup(one) for one in value]
    return value


def remove_locks_of_dead_run(work: str | os.PathLike = ".") -> None:
    """Remove the locks that Snakemake left in a working directory where no run is at work."""
    for lock in Path(work, ".snakemake", "locks").glob("*.lock"):
        lock.unlink(missing_ok=True)


def is_locked(work: str | os.PathLike = ".") -> bool:
    """Return whether Snakemake's own locks stand in a working directory."""
    return any(Path(work, ".snakemake", "locks").glob("*"))
