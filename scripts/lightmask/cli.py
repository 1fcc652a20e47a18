"""The command ``lightmask``: mask a folder, look at it before, make the report after."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightmask import SNAKEFILE, __version__
from lightmask.errors import FrameError, needed
from lightmask.fits import Value
from lightmask.messages import printable
from lightmask.night import (
    NO_READNOISE,
    configfiles,
    configuration,
    matching,
    names,
    readout,
    types,
    unused_keys,
)
from lightmask.workflow import ACCURACY, DEMO, Night, is_runnable, remove_results, results_of_gone_frames

SCANNED = ("file", "type", "masks", "gain", "read noise", "problem")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line, without the name of the command.

    Returns
    -------
    int
        The exit status. `run` and `report` do not return: Snakemake takes the place of this process.
    """
    parser = command_line()
    known, others = parser.parse_known_args(arguments)
    if others and (known.command in ("scan", "clean", "try", "explain") or getattr(known, "one_file", False)):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        if known.command == "clean":
            return clean_up(Path(known.work), known.yes)
        if known.command == "try":
            chosen = {key: getattr(known, key) for key in ("presets", "sigclip", "detector")}
            return try_frame(known.frame, Path(known.work), known.config, {k: v for k, v in chosen.items() if v})
        if known.command == "explain":
            return explain_place(known.frame, known.place, Path(known.work), known.config)
        if known.command == "report" and known.one_file:
            if known.config:
                raise ValueError(
                    "--one-file: found --config beside it, expected none: the page is that of the last run"
                )
            return report_in_one_file(Path(known.work))
        settings = known.config if known.command == "report" else [*known.config, *_preset(known.preset, known.config)]
        if known.command == "scan":
            return print_scan(Path(known.folder), Path(known.work), settings)
        others = [_profile(option) for option in others]
        if known.command == "run":
            strict = ["remarks=fail"] if known.strict else []
            settings = [*strict, *settings, _setting_of(_frames(known.folder))]
            sent_away = any(re.fullmatch("(--profile|--executor|-e|--jobs|-j)(=.*)?", option) for option in others)
            cores = ["--cores", known.cores or "all"] if known.cores or not sent_away else []
            start_snakemake(known.work, [*cores, *others], settings)
        elif known.command == "assess":
            asked = ["assess=frames", *settings, _setting_of(_frames(known.folder))]
            start_snakemake(known.work, ["--cores", "all", ACCURACY, *others], asked)
        else:
            start_snakemake(
                known.work,
                ["--report", "results/report.html", *others],
                [*known.config, _setting_of(_last(known.work))],
            )
    except (FrameError, ValueError) as error:
        print(error, file=sys.stderr)
    return 1


def command_line() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser("lightmask", description="Trustworthy pixel masks for calibrated CCD frames.")
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version, and the commit of a clone")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="mask all LIGHT frames of a folder", epilog="Other options are those of snakemake, such as -n."
    )
    run.add_argument("folder", help="calibrated frames, with masks, flats or darks, or a single frame; it is only read")
    run.add_argument("--cores", metavar="N", help="how many to use at most (all, unless a profile says where jobs run)")
    run.add_argument(
        "--strict", action="store_true", help="end with an exit status that is not zero if anything is odd"
    )
    scan = commands.add_parser("scan", help="list the files of a folder: what each is, and what will be done with it")
    scan.add_argument("folder", help="as for run; nothing is written")
    assess = commands.add_parser(
        "assess",
        help="measure how right the masks of a folder's frames are, with tracks that are injected into some",
        epilog="Other options are those of snakemake.",
    )
    assess.add_argument("folder", help="as for run")
    trial = commands.add_parser(
        "try", help="show what some settings flag in one frame, side by side; results stay as they are"
    )
    trial.add_argument("frame", help="a LIGHT frame, or FRAME[LABEL] for one of its images")
    compared = trial.add_mutually_exclusive_group()
    compared.add_argument("--preset", dest="presets", metavar="A,B", help="presets to compare (chapter,best)")
    compared.add_argument("--sigclip", metavar="A,B,...", help="thresholds of L.A.Cosmic to compare, in sigma")
    compared.add_argument("--detector", metavar="A,B,...", help="detectors to compare")
    explain = commands.add_parser("explain", help="say why a pixel is, or is not, masked; results stay as they are")
    explain.add_argument("frame", help="a LIGHT frame, or FRAME[LABEL] for one of its images")
    explain.add_argument("place", nargs="+", metavar="X Y", help="column and row, from 1 as in DS9, or a region's name")
    report = commands.add_parser("report", help="make WORK/results/report.html of what is there")
    report.add_argument(
        "--one-file",
        action="store_true",
        help="instead, make WORK/results/night.html, the page of the night with its pictures",
    )
    clean = commands.add_parser("clean", help="list the results of frames that are gone, and remove them with --yes")
    clean.add_argument("work", nargs="?", default=".", help="folder of results and config.yaml (.)")
    clean.add_argument("--yes", action="store_true", help="remove what is listed")
    for command in (run, scan, assess):
        command.add_argument(
            "--preset",
            choices=sorted(configuration.PRESETS),
            help="chapter: L.A.Cosmic as in the guide (default); best: what is right on most frames",
        )
    for command in (run, scan, assess, report, trial, explain):
        command.add_argument(
            "-o", metavar="WORK", dest="work", default=".", help="folder of results and config.yaml (.)"
        )
        command.add_argument(
            "--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings, as of snakemake"
        )
    return parser


class _ShowVersion(argparse.Action):
    """Print the version, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(" ".join(filter(None, ["lightmask", __version__, commit()])))
        parser.exit()


def commit() -> str:
    """Return the commit of the clone that this package is part of, with a + where files differ; empty for none."""
    clone = Path(SNAKEFILE).parent
    if not (clone / ".git").exists() or shutil.which("git") is None:
        return ""
    asked = ["git", "-C", str(clone), "describe", "--always", "--exclude=*", "--abbrev=10", "--dirty=+"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    return f"({found.stdout.strip()})" if found.returncode == 0 else ""


def start_snakemake(work: str, options: Sequence[str], settings: Sequence[str]) -> None:
    """Let Snakemake take the place of this process, with our Snakefile.

    Parameters
    ----------
    work : str
        The working directory, made where there is none.
    options : sequence of str
        Of Snakemake.
    settings : sequence of str
        Of the configuration: ``key=value``.

    Raises
    ------
    FrameError
        If Snakemake is not installed, or its path cannot be used in commands.
    """
    if find_spec("snakemake") is None:
        raise needed("snakemake", "whole nights", "workflow")
    python = interpreter()
    command = [python, "-m", "snakemake", "--snakefile", SNAKEFILE, "--directory", work, *options]
    if settings:
        command += ["--config", *settings]
    sys.stdout.flush()
    os.execv(python, command)  # noqa: S606 - no shell


def interpreter() -> str:
    """Return the path of Python, by a link where the path has blanks or quotes.

    Commands of jobs that Snakemake makes cannot have such a path (its issue 2645).
    """
    if is_runnable(sys.executable, runs_here=False):
        return sys.executable
    # In the home of the user, which the machines of a cluster share.
    links = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "lightmask")
    link = links / hashlib.sha256(os.fsencode(sys.prefix)).hexdigest()[:16]
    python = link / os.path.relpath(sys.executable, sys.prefix)
    if not is_runnable(str(python), runs_here=False):
        raise FrameError(
            f"{printable(str(links))}: found a blank, a quote or the like in the path of the cache, expected none; set "
            "XDG_CACHE_HOME"
        )
    if not python.exists():
        links.mkdir(parents=True, exist_ok=True)
        part = link.with_suffix(f".{os.getpid()}")
        part.symlink_to(sys.prefix, target_is_directory=True)
        part.replace(link)
    return str(python)


def _frames(folder: str) -> str:
    """Return a folder for the configuration: the demo night is a name, and all others are places."""
    return DEMO if os.path.normpath(folder) == DEMO else os.path.abspath(folder)


def _setting_of(frames: str) -> str:
    """Return the setting of the folder so that Snakemake reads a text, whatever the name.

    It takes quotes from both ends, and reads what is left as YAML: blanks keep it from the former.
    """
    return f"frames= {json.dumps(frames)} "


def _preset(preset: str | None, settings: Sequence[str]) -> list[str]:
    """Return the setting of a preset, which Snakemake cannot join to others of its section."""
    if preset is None:
        return []
    if any(setting.strip().startswith("cosmic_rays=") for setting in settings):
        raise ValueError(
            f"--preset: found {preset} beside --config cosmic_rays=..., expected one of them; write "
            f"--config 'cosmic_rays={{preset: {preset}, ...}}'"
        )
    return [f"cosmic_rays={{preset: {preset}}}"]


def _profile(option: str) -> str:
    """Return an option of Snakemake, the path for the name of a profile that comes with this package."""
    packed = Path(SNAKEFILE).parent / "profiles" / option.removeprefix("--profile=")
    is_name = re.fullmatch("(--profile=)?[a-z]+", option) and packed.is_dir() and not Path(option).exists()
    return option.replace(packed.name, str(packed)) if is_name else option


def _last(work: str) -> str:
    """Return the folder that was masked last in a working directory."""
    try:
        found = str(json.loads(Path(work, "results/headers.json").read_text(encoding="utf-8"))["key"]["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FrameError(f"{printable(work)}: found no results of a run, expected some; mask a folder first") from None
    is_demo = os.path.abspath(found) == os.path.abspath(os.path.join(work, DEMO))
    return DEMO if is_demo else found


def try_frame(frame: str, work: Path, settings: Sequence[str], asked: Mapping[str, str]) -> int:
    """Show what some settings flag in one frame, side by side, and return the exit status.

    Parameters
    ----------
    frame : str
        Path of a LIGHT frame, with the label of one of its images in brackets, if it has several.
    work : Path
        The working directory, whose ``config.yaml`` and combined masks count.
    settings : sequence of str
        Of the configuration: ``key=value``.
    asked : dict
        What to compare: ``presets``, ``sigclip`` or ``detector``, values with commas between them.

    Returns
    -------
    int

    Raises
    ------
    FrameError
        If the frame cannot be used.
    ValueError
        If the configuration, or a value to compare, is wrong.
    """
    from lightmask.masks import Trials, try_settings  # which takes long to import
    from lightmask.show import draw_trials, write_trial_page

    night, name, label = _frame_of(frame, work, settings)
    given = _with_masks(night.to_try(name), night)
    compared = compared_settings(given.pop("config"), asked)
    picture = work / "try" / (names.encode(name + (f"[{label}]" if label else "")) + ".png")
    page = picture.with_suffix(".html")
    lines = [f"{line}  # {setting}" for setting, (_, line) in compared.items()]

    def show(trials: Trials) -> None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        title = name + (f"[{trials.label}]" if trials.label else "")
        draw_trials(trials, picture, title)
        write_trial_page(trials, lines, picture, page, title)
        width = max(map(len, compared))
        print(f"{'setting':<{width}}  COSMIC pixels   events        s")
        for each in trials.each:
            print(f"{each.name:<{width}}  {each.pixels:>13,}  {each.events:>7,}  {each.seconds:>7.2f}")
        if trials.others and not label:
            print(f"its other images: {', '.join(trials.others)}; name one as {printable(frame)}[{trials.others[0]}]")

    try_settings(**given, settings={name: config for name, (config, _) in compared.items()}, show=show, label=label)
    print(f"look at {printable(str(page))}, or the picture beside it; to use one of them, paste into config.yaml:")
    for line in lines:
        print(f"  {line}")
    return 0


def explain_place(frame: str, place: Sequence[str], work: Path, settings: Sequence[str]) -> int:
    """Say why a pixel of a frame is, or is not, masked, and return the exit status.

    Parameters
    ----------
    frame : str
        Path of a LIGHT frame, with the label of one of its images in brackets, if it has several.
    place : sequence of str
        Column and row, from 1, or the name of a region.
    work : Path
        The working directory, whose ``config.yaml`` and masks count.
    settings : sequence of str
        Of the configuration: ``key=value``.

    Returns
    -------
    int

    Raises
    ------
    FrameError
        If the frame cannot be used, or has no such pixel or region.
    ValueError
        If the place, or the configuration, is wrong.
    """
    from lightmask.masks import Explained, explain_pixel  # which takes long to import
    from lightmask.show import draw_explanation, explanation_lines

    pixel: tuple[int, int] | str = place[0]
    if len(place) == 2 and all(re.fullmatch(r"\d+", number) for number in place):
        pixel = int(place[1]) - 1, int(place[0]) - 1
    elif len(place) > 1 or re.fullmatch(r"[-+.\d]+", place[0]):
        raise ValueError(f"explain: found {' '.join(place)}; expected column and row, from 1, or the name of a region")
    night, name, label = _frame_of(frame, work, settings)
    given = _with_masks(night.to_explain(name), night)

    def show(found: Explained) -> None:
        print(f"{printable(found.name)}: x {found.x + 1}, y {found.y + 1}")
        for line in explanation_lines(found):
            print(printable(line))
        encoded = names.encode(found.name)
        picture = work / "explain" / f"{encoded} {found.x + 1} {found.y + 1}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw_explanation(found, picture, found.name)
        print(f"look at {printable(str(picture))}")

    explain_pixel(**given, place=pixel, show=show, label=label)
    return 0


def _frame_of(frame: str, work: Path, settings: Sequence[str]) -> tuple[Night, str, str]:
    """Return the night of a frame that is to be drawn, its path there, and the label of its image, if one is named."""
    if find_spec("PIL") is None or find_spec("matplotlib") is None:
        raise needed("pillow", "pictures of a frame", "report")
    path, label = Path(frame), ""
    if not path.exists() and (several := re.fullmatch(r"(.*)\[(.*)\]", frame)):
        path, label = Path(several[1]), several[2]
    return *_night_of(path, work, settings), label


def _with_masks(given: dict[str, Any], night: Night) -> dict[str, Any]:
    """Return what is given to look at a frame, without masks that are not made yet, and print what is left out."""
    if night.config["repeats"] == "auto":
        print("repeats: auto is left out here: the frame is searched by itself")
    if given["combined"] is None:
        print(f"{printable(given['name'])}: no flat mask or dark mask applies, so known bad pixels count as good")
    elif not given["combined"].exists():
        print(
            f"{printable(given['name'])}: its masks are not made yet, so known bad pixels count as good; mask the "
            "folder first"
        )
        return given | {"combined": None}
    return given


def _night_of(frame: Path, work: Path, settings: Sequence[str]) -> tuple[Night, str]:
    """Return the night of a frame, and its path there: that of the last run if it is in its folder, else it alone."""
    try:
        last = Path(_last(str(work)))
    except FrameError:
        last = frame
    folder = work / last if str(last) == DEMO else last
    place = Path(os.path.abspath(frame))
    if folder.is_dir() and place.is_relative_to(os.path.abspath(folder)):
        return _night(work, settings, str(last)), place.relative_to(os.path.abspath(folder)).as_posix()
    return _night(work, settings, str(place)), place.name


def compared_settings(config: dict[str, Any], asked: Mapping[str, str]) -> dict[str, tuple[dict[str, Any], str]]:
    """Return the settings to compare, by name: each a configuration, and the line that sets it.

    Parameters
    ----------
    config : dict
        A checked configuration.
    asked : dict
        As `try_frame` takes it; without anything the presets, and what the configuration says beside them.

    Returns
    -------
    dict of (dict, str)

    Raises
    ------
    ValueError
        If a value is none, or the detector does not use it.
    """
    found: dict[str, tuple[dict[str, Any], str]] = {}
    detection = config["cosmic_rays"]
    key, values = next(iter(asked.items()), ("presets", ",".join(configuration.PRESETS)))
    for value in filter(None, map(str.strip, values.split(","))):
        if key == "presets":
            if value not in configuration.PRESETS:
                raise ValueError(f"--preset: found {value}; expected some of {', '.join(configuration.PRESETS)}")
            found[value] = configuration.with_preset(config, value), f"cosmic_rays: {{preset: {value}}}"
            continue
        setting, given = f"{key} {value}", detection | {key: value}
        unused = {*unused_keys(given)} - {key}  # of the detector that is compared, and not of the one that is set
        kept = {k: v for k, v in given.items() if k not in unused}
        checked = configuration.validated({"cosmic_rays": kept})["cosmic_rays"]
        line = f"cosmic_rays: {{preset: {detection['preset']}, {key}: {value}}}"
        found[setting] = {**config, "cosmic_rays": checked}, line
    if not asked and config not in (each for each, _ in found.values()):
        found["yours"] = config, "what your configuration has already"
    if not found:
        raise ValueError(f"--{key.removesuffix('s')}: found nothing; expected values with commas between them")
    return found


def clean_up(work: Path, is_sure: bool) -> int:
    """List the results of frames that are gone, remove them if that is sure, and return the exit status.

    Parameters
    ----------
    work : Path
        The working directory.
    is_sure : bool
        Whether to remove them.

    Returns
    -------
    int

    Raises
    ------
    FrameError
        If there are no results, or the folder of the frames is not there.
    """
    night = _night(work, [], _last(str(work)))
    found = results_of_gone_frames(night)
    for path in found:
        print(printable(str(path)))
    size = sum(path.stat().st_size for path in found) / 1e6
    if not found:
        print(f"{printable(str(night.results))}: every result has its frame in {printable(str(night.folder))}")
    elif is_sure:
        remove_results(found, night.results)
        print(f"{len(found)} files ({size:.1f} MB) of frames that are gone are removed")
    else:
        where = printable(str(night.folder))
        print(f"{len(found)} files ({size:.1f} MB) are of frames that are gone from {where}; --yes removes them")
    return 0


def report_in_one_file(work: Path) -> int:
    """Write the page of the last run so that it stands alone, and return the exit status.

    Parameters
    ----------
    work : Path
        The working directory.

    Returns
    -------
    int

    Raises
    ------
    FrameError
        If there is no such page.
    """
    from lightmask.show import write_one_file  # which takes long to import

    path = work / "results/night.html"
    write_one_file(work / "results/index.html", path)
    print(f"look at {printable(str(path))} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def print_scan(folder: Path, work: Path, settings: Sequence[str]) -> int:
    """Print a row for each file of a folder, and return 1 if a LIGHT frame cannot be masked."""
    rows = list(scan(folder, work, settings))
    widths = [max(len(row[column]) for row in [SCANNED, *(row for row, _ in rows)]) for column in range(len(SCANNED))]
    for row in [SCANNED, *(row for row, _ in rows)]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return int(any(is_fault for _, is_fault in rows))


def scan(folder: Path, work: Path = Path(), settings: Sequence[str] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Describe each file of a folder as a run would take it.

    Parameters
    ----------
    folder : Path
        The frames folder.
    work : Path
        The working directory, whose ``config.yaml`` counts.
    settings : sequence of str
        Of the configuration: ``key=value``.

    Yields
    ------
    row : tuple of str
        Path, type, masks that apply, gain in e-/adu and read noise in e- that will be used, and what is wrong.
    is_fault : bool
        Whether this is a LIGHT frame that cannot be masked.

    Raises
    ------
    FrameError
        If the folder cannot be searched.
    ValueError
        If the configuration is wrong.
    """
    night = _night(work, settings, _frames(str(folder)))
    for frame in night.frames:
        masks, numbers, problem = "", ("", ""), frame.problem
        if frame.type == types.LIGHT and not problem:
            problem = night.matcher.problem(frame)
            applying = night.matcher.applying(frame)
            masks = ", ".join(_described(mask) for _, mask in applying) or "none"
            try:
                numbers = _numbers(frame.cards, night.config)
            except FrameError as error:
                problem = problem or str(error)
        elif not frame.type and not problem:
            problem = f"no {' or '.join(night.config['frame_type']['keywords'])} in the header; it is not masked"
        row = (frame.path, frame.type, masks, *numbers, problem)
        yield tuple(map(printable, row)), bool(problem) and frame.to_mask


def _night(work: Path, settings: Sequence[str], frames: str) -> Night:
    """Return the night of a folder, as a run in a working directory would see it."""
    checkout = Path(SNAKEFILE).parent
    config: dict[str, Any] = {}
    for found in (configfiles.load(checkout / "config.yaml"), configfiles.load(work / "config.yaml"), settings):
        config = configuration.merged(config, found if isinstance(found, dict) else configuration.parsed(found))
    return Night(config | {"frames": frames}, checkout, place=work.joinpath)


def _described(mask: types.Frame) -> str:
    if isinstance(mask, matching.MadeMask):
        return f"{matching.KIND_OF_TYPE[mask.type]} mask of {len(mask.sources)}"
    return mask.path


def _numbers(cards: dict[str, Value], config: dict[str, Any]) -> tuple[str, str]:
    """Return gain and read noise as a run would use them."""
    how = readout(config | {"sections": "ignore", "amplifiers": []}, cards, {}, (1, 1))
    found = how.amplifiers[0]
    if found.gain is None:
        return "measured", f"{found.readnoise:g}"
    is_unknown = any(line.startswith(NO_READNOISE) for line in how.remarks)
    return f"{found.gain:g}", "measured" if is_unknown else f"{found.readnoise:g}"


if __name__ == "__main__":
    sys.exit(main())
