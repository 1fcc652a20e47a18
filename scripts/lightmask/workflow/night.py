"""The night that a run masks: which frames and masks there are, and what each rule takes and makes of them."""

import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from lightmask import demo, messages
from lightmask.errors import FrameError
from lightmask.fits import Roles, files, records
from lightmask.masks import memory as memory_of_masking
from lightmask.night import cameras, configuration, inventory, matching, number, repeats, summary, types
from lightmask.repeats import FEWEST
from lightmask.workflow import batches
from lightmask.workflow.code import digest_of_code

DEMO = "results/demo"
ACCURACY = "results/accuracy.txt"
MOST_ASSESSED = 3
ASSESSED_BYTES = 100
"""Of a pixel of a frame that is assessed, at the most: measured 69, of float64."""
COMBINING_BYTES = 1e9
"""Memory that darks are combined with, in bytes."""
CHECKED = "results/logs/night_checked"
QUALITY_TABLES = ("results/quality.csv", "results/quality.ecsv")
NIGHT_PICTURES = ("results/pictures/night.png", "results/pictures/summary.html")
Wildcards = Any
"""What a workflow engine fills the names of a rule's files with: an attribute for each name."""
Masks = matching.MaskSet
"""Masks that apply to a frame: the kind and the file of each."""


class Outcome(NamedTuple):
    """Where to look up what became of a LIGHT frame.

    Attributes
    ----------
    statistics : Path
        There if the frame is masked.
    log : Path
        Of its job.
    logs_of_masks : list of Path
        Of the jobs that made its masks.
    """

    statistics: Path
    log: Path
    logs_of_masks: list[Path]


def yaml_text(value: Any) -> str:
    """Return plain values as one line of YAML that a user can paste."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_text, value)) + "]"
    is_word = re.fullmatch(r"(?!(?i:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][\w-]*( [\w-]+)*", value, re.ASCII)
    return value if is_word else json.dumps(value)


def _pictures_of(name: str) -> list[str]:
    return [f"results/pictures/{folder}/{name}.png" for folder in ("frames", "thumbnails")]


class Night:
    """The frames of a folder, the masks that apply to them, and what each rule needs to know of both.

    Methods named ``*_inputs`` return the input files of a rule, ``*_task`` and ``*_files`` its
    parameters, ``*_memory`` its memory in MB and ``*_minutes`` its run time. They take the
    wildcards of a job. The folder is searched when the first of them needs to know a frame.

    Parameters
    ----------
    config : dict
        The configuration, as a user gave it.
    checkout : Path
        Folder of the Snakefile, whose ``scripts`` the rules run.
    place : callable, optional
        Returns where a result lies, given as in the Snakefile. A module statement may set a prefix.
    outside : callable, optional
        Marks the path of a file that no rule makes, which no prefix changes.
    force : callable, optional
        Called with a result that must be made again although it is there. None for jobs, which
        make what their run planned.
    recall : bool, optional
        Whether to take what the run of this job has found in the folder.
    is_reporting : callable, optional
        Returns whether a report is made, which shows only what is there.

    Raises
    ------
    ValueError
        If the configuration is wrong.
    """

    def __init__(
        self,
        config: dict[str, Any],
        checkout: Path,
        place: Callable[[str], Path] = Path,
        outside: Callable[[str], Any] = str,
        force: Callable[[str], None] | None = None,
        recall: bool = False,
        is_reporting: Callable[[], bool] = lambda: False,
    ):
        self.config = configuration.of_run(config)
        self.checkout, self.place, self.outside, self.force = checkout, place, outside, force
        self._is_reporting = is_reporting
        self.in_batches = False
        """Whether frames are masked by jobs that start a Snakemake of their own."""
        self.is_demo = os.path.normpath(self.config["frames"]) == DEMO
        self.folder = place(DEMO) if self.is_demo else Path(self.config["frames"]).expanduser()
        self._only: tuple[str, ...] = ()
        if self.folder.is_file():
            self._mask_one()
        self.results = place("results")
        self.wait_for: Callable[[], Any] = lambda: None
        """Called before the folder is searched. It may raise where a rule has yet to make the folder."""
        self._recall = recall
        self._keywords = types.keywords_needed(self.config)
        reading = digest_of_code(inventory.__file__)
        roles = Roles(self.config["images"])
        cache = self.results / "headers.json"
        self._inventory = inventory.Inventory(self.folder, cache, self._keywords, reading, roles, self._only)
        self._rows: dict[str, dict[str, Any]] = {}
        self._recipes: dict[str, str] = {}
        self._problems: dict[str, str] = {}

    def _mask_one(self) -> None:
        """Take a single file for the LIGHT frame that is meant, with the files that belong to it, and no masks."""
        name, self.folder = self.folder.name, self.folder.parent
        companions = cameras.companion_names(name, self.config["cameras"])
        self._only = (name, *companions)
        paths: dict[str, list[str]] = {key: [] for key in self.config["frame_type"]["paths"]} | {"light": [name]}
        self.config = {
            **self.config,
            "required_masks": [],
            "frame_type": {**self.config["frame_type"], "paths": paths},
        }

    # What is in the folder

    @property
    def is_of_one_frame(self) -> bool:
        """Whether a single file was given in the place of a folder."""
        return bool(self._only)

    @cached_property
    def found(self) -> dict[str, Any]:
        """What the search of the folder found, by path in it.

        Raises
        ------
        FrameError
            If there is no folder, or it cannot be searched.
        """
        self.wait_for()
        if self._recall and (recalled := self._inventory.recall()) is not None:
            return recalled
        if not (self.is_demo or self.folder.is_dir()):
            found = "a special file" if self.folder.exists() else "nothing"
            where = messages.printable(str(self.folder.absolute()))
            raise FrameError(f"frames: found {found} at {where}; expected a folder of FITS files")
        planned = demo.described(self._keywords) if self.is_demo else None
        try:
            return self._inventory.scan(leave_out=[self.results], planned=planned)
        except OSError as error:
            raise FrameError(f"{messages.printable(str(error.filename))}: {error.strerror}") from None

    def remember(self) -> None:
        """Write down what the search found, for the jobs of this run and for later runs."""
        self._inventory.remember(self.found)

    @cached_property
    def frames(self) -> list[types.Frame]:
        """Every file of the folder."""
        return types.frames(self.found, self.config)

    @cached_property
    def lights(self) -> dict[str, types.Frame]:
        """The LIGHT frames to mask, by the name of their results.

        Raises
        ------
        FrameError
            If there is none.
        """
        if not any(frame.type == types.LIGHT for frame in self.frames):
            raise FrameError(self._no_light())
        chosen = {frame.name: frame for frame in self.frames if frame.to_mask}
        # A result cannot be a file and a folder: of such a pair the file's job reports both.
        chosen = {n: f for n, f in chosen.items() if not any(str(parent) in chosen for parent in Path(n).parents)}
        return chosen

    def _no_light(self) -> str:
        asked = self.config["frame_type"]
        kinds = Counter(f.type or f.problem or "type not given" for f in self.frames)
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return messages.printable(
            f"frames: no LIGHT frame in {self.config['frames']}; found {listed or 'no FITS file'}; expected "
            f"{' or '.join(asked['keywords'])} to be one of {', '.join(asked['light'])}{self._hint_of_types()}"
        )

    def _hint_of_types(self) -> str:
        """Say which keywords the files do have that may say what they are, as a line to paste."""
        at_hand = types.types_at_hand(self.frames)
        listed = "; ".join(
            f"{keyword}: {', '.join(f'{value} ({count})' for value, count in values.most_common(8))}"
            for keyword, values in [*at_hand.items()][:3]
        )
        for keyword, values in at_hand.items():
            if likely := types.likely_lights(values, self.config):
                setting = shlex.quote(f"frame_type={yaml_text({'keywords': [keyword], 'light': [likely]})}")
                return f"; the headers say {listed}; write --config {setting} if that is a LIGHT frame"
        folders = Counter(f.path.rpartition("/")[0] for f in self.frames if not f.problem)
        if not folders:
            return ""
        found = f"; the headers say {listed}" if listed else ""
        folder = max(folders, key=lambda name: ("light" in name.lower() or "sci" in name.lower(), folders[name]))
        setting = yaml_text({"paths": {"light": [f"{folder}/*" if folder else "*"]}})
        return f"{found}; write --config {shlex.quote(f'frame_type={setting}')} with the pattern of your LIGHT frames"

    @cached_property
    def matcher(self) -> matching.MaskMatcher:
        """What finds the masks that apply to a LIGHT frame."""
        return matching.MaskMatcher(self.frames, self.config)

    @cached_property
    def mask_sets(self) -> dict[str, Masks]:
        """The distinct sets of masks that apply to LIGHT frames, by the name of the combined mask."""
        return {found.id: found for found in map(self.matcher.applying, self.lights.values())}

    @cached_property
    def made_masks(self) -> dict[str, matching.MadeMask]:
        """The masks that are made of flats or darks, by name."""
        masks = (mask for found in self.mask_sets.values() for _, mask in found)
        return {Path(mask.path).stem: mask for mask in masks if isinstance(mask, matching.MadeMask)}

    @cached_property
    def digests(self) -> records.Digests:
        """Digests of the files of the night."""
        return records.Digests(self.found, self.folder)

    def warnings(self) -> Iterator[str]:
        """List what is left out: files of unknown type, masks that cannot be used, results without a frame."""
        if counted := types.not_masked(self.frames):
            yield messages.printable(f"not masked: {counted} (frame_type says what is a LIGHT frame)")
        untyped = [frame.path for frame in self.frames if not frame.type and not frame.problem]
        if untyped:
            listed = messages.printable(", ".join(untyped[:5])) + ", ..." * bool(untyped[5:])
            keywords = ", ".join(self.config["frame_type"]["keywords"])
            number = "1 file has" if len(untyped) == 1 else f"{len(untyped)} files have"
            yield (
                f"not masked: {number} none of {keywords} in the header: {listed}; frame_type: paths says what files "
                "are by their names and folders"
            )
        lacking = {
            kind
            for light in self.lights.values()
            for kind in {"flat", "dark"} - {kind for kind, _ in self.matcher.applying(light)}
        }
        for frame in (frame for kind in sorted(lacking) for frame in self.matcher.unusable[kind]):
            yield messages.printable(f"{frame.path}: {frame.problem}")
        for frame in self.frames:
            if frame.type == types.FOREIGN_RESULTS:
                yield (
                    f"{messages.printable(frame.path)}: holds the results of another run and is not searched; "
                    "take it out of the frames folder"
                )
        if self.config["repeats"] == "auto" and self.config["assess"] == "frames":
            yield "assess: judges each frame by itself; what repeats: auto adds and removes is not in its figures"
        if self.config["repeats"] == "auto":
            alone = sum(not self._repeats_of(light) for light in self.lights.values())
            if alone:
                yield (
                    f"repeats: {alone} of {len(self.lights)} LIGHT frames have fewer than {FEWEST} others of their "
                    "field, filter and exposure time; they are masked by themselves"
                )
        for name in summary.orphans(self.place("results/masked"), self.lights):
            yield f"results/masked/{name}: no LIGHT frame stands behind it any more; delete it"

    # What all rules share

    def path_of(self, frame: types.Frame) -> Path:
        """Return the path of a file of the night, or of a mask that is made."""
        return self.place(frame.path) if isinstance(frame, matching.MadeMask) else self.folder / frame.path

    def is_made(self, frame: types.Frame) -> bool:
        """Return whether a rule makes a file."""
        return isinstance(frame, matching.MadeMask) or (self.is_demo and frame.path in demo.NAMES)

    def code(self, script: str) -> str:
        """Digest the code that a rule's script runs: where it is edited, what the script made is made again."""
        return digest_of_code(self.checkout / f"scripts/{script}.py")

    def _input_of(self, frame: types.Frame) -> list[Any]:
        """Return a file as Snakemake can take it, in a list that is empty where it cannot.

        Snakemake takes {word} for a wildcard and <word> for a variable wherever they stand, and writes
        paths to files, line by line and in UTF-8. Jobs get all paths by their parameters.
        """
        if self.is_made(frame):  # a prefix applies
            return [f"{DEMO}/{frame.path}" if frame.path in demo.NAMES else frame.path]
        path = str(self.path_of(frame))
        return [] if set(path) & {*"{<"} or not path.isprintable() else [self.outside(path)]

    def _files_of(self, frames: Iterable[types.Frame]) -> dict[str, Any]:
        """Return paths and stamps of files for a job, which checks that it reads what was planned."""
        frames = list(frames)
        stamps = [None if self.is_made(frame) else self.found[frame.path]["stamp"] for frame in frames]
        return {"paths": [str(self.path_of(frame)) for frame in frames], "stamps": stamps}

    def _force_outdated(self, output: str, record: str, recipe: str, sources: Callable[[], Mapping[str, str]]) -> None:
        """Force a result whose record differs from what would be made now: times of change would not show it."""
        if self.force is not None and self._is_outdated(record, recipe, sources):
            self.force(str(self.place(output)))

    def _is_outdated(self, record: str, recipe: str, sources: Callable[[], Mapping[str, str]]) -> bool:
        return not records.holds(records.read(self.place(record)), recipe, sources)

    def _row(self, frame: types.Frame) -> dict[str, Any]:
        """Return what the tables say of a file."""
        if frame.path not in self._rows:
            self._rows[frame.path] = types.table_row(frame, self.config)
        return self._rows[frame.path]

    def _settings(self, *keys: str) -> dict[str, Any]:
        return {key: self.config[key] for key in keys}

    # Rule mask_light

    def light(self, name: str) -> types.Frame:
        """Return the LIGHT frame behind a result.

        Raises
        ------
        FrameError
            If there is none of that name.
        """
        if name not in self.lights:
            raise FrameError(f"{name}: no LIGHT frame of that name in {self.config['frames']}")
        return self.lights[name]

    def problem(self, light: types.Frame) -> str:
        """Return why a LIGHT frame cannot be masked, as far as headers show; empty if it can."""
        if light.path not in self._problems:
            self._problems[light.path] = light.problem or self.matcher.problem(light)
        return self._problems[light.path]

    def combined_mask_of(self, light: types.Frame) -> str:
        """Return the combined mask that applies to a LIGHT frame; empty if none does."""
        applying = self.matcher.applying(light)
        return f"results/combined_masks/{applying.id}.fits" if applying else ""

    def light_inputs(self, wildcards: Wildcards) -> dict[str, list[Any]]:
        """Return the LIGHT frame, its combined mask and other frames of its field; none if it cannot be masked anyway.

        In one function, as Snakemake takes longer to call it than it takes: a night has thousands.
        """
        name = wildcards.frame
        light = self.light(name)
        if self.problem(light):
            return {"frame": [], "masks": [], "repeats": []}
        if self.force is not None and self.is_outdated(name):
            self.force(str(self.place(f"results/masked/{name}")))
        mask = self.combined_mask_of(light)
        files = [file for frame in self._with_companions(light) for file in self._input_of(frame)]
        repeats = [file for frame in self._repeats_of(light) for file in self._input_of(frame)]
        return {"frame": files, "masks": [mask] if mask else [], "repeats": repeats}

    def _with_companions(self, light: types.Frame) -> list[types.Frame]:
        """Return a LIGHT frame and the mask that came with it in a file of its own."""
        paths = [path for role, path in light.companions if role == "mask"]
        return [light, *(self._by_path[path] for path in paths)]

    def _repeats_of(self, light: types.Frame) -> list[types.Frame]:
        """Return the LIGHT frames that one is compared with, as they show its field."""
        return self._repeats.get(light.path, [])

    @cached_property
    def _repeats(self) -> dict[str, list[types.Frame]]:
        if self.config["repeats"] == "off":
            return {}
        usable = [light for light in self.lights.values() if not self.problem(light)]
        rows = {light.path: self._row(light) for light in usable}
        return repeats(usable, rows, {light.path: self.combined_mask_of(light) for light in usable}, FEWEST)

    @cached_property
    def _by_path(self) -> dict[str, types.Frame]:
        return {frame.path: frame for frame in self.frames}

    def is_outdated(self, name: str) -> bool:
        """Return whether a masked frame is not what would be made now."""
        light = self.lights[name]

        def sources() -> dict[str, str]:
            log = self.place(f"results/logs/mask_light/{name}.log")
            own = {"frame": self.digests.of(light.path, [log])}
            for frame in self._with_companions(light)[1:]:
                own[types.COMPANION] = self.digests.of(frame.path, [log])
            for place, frame in enumerate(self._repeats_of(light), 1):
                own[f"repeat{place}"] = self.digests.of(frame.path, [log])
            return own | self._sources_of(self.matcher.applying(light))

        return self._is_outdated(f"results/statistics/{name}.json", self._light_recipe(name), sources)

    def light_task(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what to do with a LIGHT frame: name, problem, configuration, caption, memory needed, recipe."""
        self.light(wildcards.frame)
        return {**self._light_settings(wildcards.frame), "recipe": self._light_recipe(wildcards.frame)}

    def light_files(self, wildcards: Wildcards, input: Any) -> dict[str, Any]:  # noqa: A002 - Snakemake's name
        """Return path and stamp of a LIGHT frame, and what is not drawn of it any more.

        Its job removes pictures and the like that are not wanted any more: they would show another result.
        As this takes the input, Snakemake does not record it: no picture less is a reason to mask again.
        """
        undrawn = [] if self.config["pictures"] else _pictures_of(wildcards.frame)
        undrawn += [] if self.config["regions"] else [f"results/regions/{wildcards.frame}.reg"]
        light = self.light(wildcards.frame)
        files = self._files_of([*self._with_companions(light), *self._repeats_of(light)])
        return {**files, "undrawn": self._places(undrawn)}

    @cached_property
    def _light_config(self) -> dict[str, Any]:
        settings = self._settings(
            *("cosmic_rays", "masked", "grow", "unit", "unit_names", "cameras", "sections", "amplifiers", "bayer"),
            *(
                "no_data",
                "noise",
                "noise_check",
                "sky",
                "quality",
                "limits",
                "most_masked",
                "images",
                "inherit",
                "checksums",
            ),
        )
        keywords = self.config["table_keywords"]
        return settings | {"table_keywords": {key: keywords[key] for key in ("exposure", "pixel_size")}}

    def _light_settings(self, name: str) -> dict[str, Any]:
        light = self.lights[name]
        row = self._row(light)
        seconds = number(row["exposure"])
        exposure = [f"{seconds:.4g} s"] if seconds > 0 else []
        caption = [row["filter"], *exposure, row["object"], row["date"], row["camera"]]
        return {
            "name": light.path,
            "companion": next((frame.path for frame in self._with_companions(light)[1:]), ""),
            "repeats": [frame.path for frame in self._repeats_of(light)],
            "problem": self.problem(light),
            "config": self._light_config,
            "caption": "  ·  ".join(str(part) for part in caption if part != ""),
            "mem_needed": self.memory_of(name),
        }

    def _light_recipe(self, name: str) -> str:
        """Digest all that a LIGHT frame is masked with, but for its pixels and masks."""
        if name not in self._recipes:
            applying = self.matcher.applying(self.lights[name])
            combining = self._combining_recipe(applying.id) if applying else ""
            self._recipes[name] = records.digest_of([self._light_settings(name), combining, self.code("mask_light")])
        return self._recipes[name]

    def memory_of(self, name: str) -> int:
        """Estimate the memory of masking a frame, in MB."""
        light = self.lights[name]
        shapes = [shape or (1, 1) for shape in light.shapes]
        return memory_of_masking(
            shapes, self.config["cosmic_rays"], types.tile_height(light), len(self._repeats_of(light))
        )

    def seconds_of(self, name: str) -> float:
        """Estimate how long masking a frame takes on one core, in s."""
        light = self.lights[name]
        return batches.seconds(light.shapes, self.config["cosmic_rays"]["detector"], len(self._repeats_of(light)))

    def light_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Estimate the memory of masking a frame, in MB, more with each attempt."""
        return attempt * self.memory_of(wildcards.frame)

    def light_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Estimate the run time of masking a frame, in minutes."""
        return batches.minutes(self.seconds_of(wildcards.frame), 1, attempt)

    def results_of(self, name: str) -> list[str]:
        """List what is made of a LIGHT frame, as far as it is asked for."""
        pictures, regions = _pictures_of(name), [f"results/regions/{name}.reg"]
        asked = pictures * bool(self.config["pictures"]) + regions * bool(self.config["regions"])
        return [f"results/masked/{name}", *asked]

    def light_labels(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what the report says of a frame's picture."""
        row = self._row(self.light(wildcards.frame))
        return {"frame": wildcards.frame, "filter": row["filter"], "exposure": row["exposure"]}

    def outcomes(self) -> Iterator[Outcome]:
        """List where to look up what became of each LIGHT frame; a result of an older plan counts as none."""
        self.digests.look_again()
        for name, light in self.lights.items():
            applying = self.matcher.applying(light)
            logs = [
                f"results/logs/make_{kind}_mask/{Path(mask.path).stem}.log"
                for kind, mask in applying
                if isinstance(mask, matching.MadeMask)
            ]
            logs += [f"results/logs/combine_masks/{applying.id}.log"] if applying else []
            statistics = self.place(f"results/statistics/{name}.json")
            if not self.problem(light) and self.is_outdated(name):
                statistics = statistics.with_name(".out of date")
            log = self.place(f"results/logs/mask_light/{name}.log")
            yield Outcome(statistics, log, [self.place(path) for path in logs])

    # Rules make_flat_mask and make_dark_mask

    def made_mask(self, wildcards: Wildcards) -> matching.MadeMask:
        """Return the mask that is to be made behind a result.

        Raises
        ------
        FrameError
            If no frame needs a mask of that name.
        """
        if wildcards.static_mask not in self.made_masks:
            raise FrameError(f"{wildcards.static_mask}: no frame of the night needs a mask of that name")
        return self.made_masks[wildcards.static_mask]

    def static_mask_inputs(self, wildcards: Wildcards) -> list[Any]:
        """Return the flats or darks that a mask is made from."""
        mask = self.made_mask(wildcards)
        logs = [self.place(f"results/logs/make_{matching.KIND_OF_TYPE[mask.type]}_mask/{wildcards.static_mask}.log")]
        recipe = self.static_mask_task(wildcards)["recipe"]
        self._force_outdated(
            mask.path,
            matching.record_of(mask),
            recipe,
            lambda: {f.path: self.digests.of(f.path, logs) for f in mask.sources},
        )
        return [file for frame in mask.sources for file in self._input_of(frame)]

    def static_mask_task(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what to make of flats or darks: their names, cards of the mask, configuration, recipe."""
        mask = self.made_mask(wildcards)
        kind = matching.KIND_OF_TYPE[mask.type]
        keys = (
            ("make_flat_mask", "most_masked", "images", "checksums")
            if kind == "flat"
            else ("make_dark_mask", "most_masked", "unit", "unit_names", "cameras", "images", "checksums")
        )
        config = self._settings(*keys)
        if kind == "dark":
            config["combined"] = self.config["frame_type"]["combined"]
        task = {
            "names": [frame.path for frame in mask.sources],
            "cards": matching.type_cards(kind, self.config),
            "keywords": matching.keywords_to_keep(mask, self.config),
            "shapes": mask.shapes,
            "images": [{"label": image.label, "cards": image.cards} for image in mask.images],
            "required": kind in self.config["required_masks"],
            "config": config,
        }
        if kind == "dark":
            task["memory"] = COMBINING_BYTES
        return {**task, "recipe": records.digest_of([task, self.code(f"make_{kind}_mask")])}

    def static_mask_files(self, wildcards: Wildcards, input: Any) -> dict[str, Any]:  # noqa: A002
        """Return paths and stamps of the flats or darks that a mask is made from, and masks to compare it with."""
        mask = self.made_mask(wildcards)
        others = [[str(self.path_of(other)), other.path] for other in self.matcher.like(mask)]
        return {**self._files_of(mask.sources), "others": others}

    def static_mask_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Estimate the memory of making a mask, in MB."""
        rows, columns = max(self.made_mask(wildcards).shapes, key=prod)
        return int(attempt * (400 + rows * columns * 64 // 1_000_000 + COMBINING_BYTES // 1_000_000))

    def static_mask_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Estimate the run time of making a mask, in minutes."""
        mask = self.made_mask(wildcards)
        return batches.minutes(batches.static_mask_seconds(mask.shapes, len(mask.sources)), 1, attempt)

    def _records_of_made_masks(self, light: types.Frame) -> dict[str, str]:
        """Return by kind, for each mask of a LIGHT frame that is made, the file that lists what was left out."""
        if self.problem(light):
            return {}
        applying = self.matcher.applying(light)
        return {kind: matching.record_of(mask) for kind, mask in applying if isinstance(mask, matching.MadeMask)}

    def sources_inputs(self, wildcards: Wildcards = None) -> list[str]:
        """List, for the masks that are made, the files that say what was left out of them."""
        return sorted({file for f in self.lights.values() for file in self._records_of_made_masks(f).values()})

    # Rule combine_masks

    def combined_mask_inputs(self, wildcards: Wildcards) -> list[Any]:
        """Return the masks of a set."""
        applying = self.mask_sets[wildcards.masks]
        combined = f"results/combined_masks/{wildcards.masks}.fits"
        recipe = self._combining_recipe(wildcards.masks)
        self._force_outdated(combined, combined, recipe, lambda: self._sources_of(applying))
        return [file for _, mask in applying for file in self._input_of(mask)]

    def combined_mask_task(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what to do with the masks of a set: kinds, names, growth, caption, checksums, recipe."""
        name = wildcards.masks
        return {**self._combining_settings(name), "recipe": self._combining_recipe(name)}

    def combined_mask_files(self, wildcards: Wildcards, input: Any) -> dict[str, Any]:  # noqa: A002
        """Return paths and stamps of the masks of a set, and what is not drawn of them any more."""
        undrawn = [] if self.config["pictures"] else [f"results/pictures/masks/{wildcards.masks}.png"]
        files = self._files_of(mask for _, mask in self.mask_sets[wildcards.masks])
        return {**files, "undrawn": self._places(undrawn)}

    def combined_mask_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Estimate the memory of combining masks, in MB."""
        pixels = sum(map(prod, self.mask_sets[wildcards.masks][0][1].shapes))
        return attempt * (300 + pixels * 8 // 1_000_000)

    def combined_mask_labels(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what the report says of a combined mask's picture."""
        applying = self.mask_sets[wildcards.masks]
        rows = [self._row(light) for light in self.lights.values() if self.matcher.applying(light).id == applying.id]
        return {
            "mask": wildcards.masks,
            "kind": " and ".join(dict(applying)),
            "filter": ", ".join(sorted({str(row["filter"]) for row in rows} - {""})),
            "frames": len(rows),
        }

    def shared_masks(self) -> list[tuple[str, str, str]]:
        """List the combined masks that frames use: what to call each, its picture, and its file, among the results."""
        found = []
        for name, applying in self.mask_sets.items():
            settings = self._combining_settings(name) if applying else {}
            picture = f"pictures/masks/{name}.png"
            if settings and self.place(f"results/{picture}").exists():
                label = "  ·  ".join(
                    filter(None, [settings["caption"], " and ".join(dict.fromkeys(settings["kinds"]))])
                )
                found.append((label, picture, f"combined_masks/{name}.fits"))
        return sorted(found)

    def _combining_settings(self, masks: str) -> dict[str, Any]:
        applying = self.mask_sets[masks]
        rows = [self._row(mask) for _, mask in applying]
        values = [{str(row[key]) for row in rows} - {""} for key in ("filter", "camera", "binning")]
        return {
            "kinds": [kind for kind, _ in applying],
            "names": [mask.path for _, mask in applying],
            "grow": {kind: self.config["grow"][kind] for kind in ("flat", "dark")},
            "caption": "  ·  ".join(", ".join(sorted(found)) for found in values if found),
            "checksums": self.config["checksums"],
            "most": self.config["most_masked"],
            "images": applying.pairs(),
        }

    def _combining_recipe(self, masks: str) -> str:
        """Digest all that a combined mask is made with, but for its masks."""
        if masks not in self._recipes:
            self._recipes[masks] = records.digest_of([self._combining_settings(masks), self.code("combine_masks")])
        return self._recipes[masks]

    def _sources_of(self, applying: Masks) -> dict[str, str]:
        """Return the digests of the masks of a set, under the names that they have in headers."""
        numbers: Counter[str] = Counter()
        found = {}
        logs = [self.place(f"results/logs/combine_masks/{applying.id}.log")]
        for kind, mask in applying:
            numbers[kind] += 1
            if isinstance(mask, matching.MadeMask):
                digest = self.digests.of_other(self.path_of(mask))
            else:
                digest = self.digests.of(mask.path, logs)
            found[f"{kind}{numbers[kind]}"] = digest
        return found

    # Rules list_frames and summarise

    def frames_inputs(self, wildcards: Wildcards) -> list[str]:
        """Return no input of the table of all files, but force the table where it would change."""
        text = summary.csv_text(self.frames_rows(wildcards), summary.FRAME_COLUMNS)
        if self.force is not None and not files.holds(self.place("results/frames.csv"), text):
            self.force(str(self.place("results/frames.csv")))
        return []

    def frames_rows(self, wildcards: Wildcards) -> list[dict[str, Any]]:
        """List the rows of the table of all files."""
        rows = []
        for frame in self.frames:
            row = self._row(frame) | {"problem": frame.problem}
            if frame.type == types.LIGHT and not frame.problem:
                row["combined_mask"] = self.combined_mask_of(frame)
                row["problem"] = self.matcher.problem(frame)
            rows.append({column: row.get(column, "") for column in summary.FRAME_COLUMNS})
        return rows

    def summary_inputs(self, wildcards: Wildcards) -> list[str]:
        """List the statistics of all masked frames."""
        table = self.place("results/summary.ecsv")
        if self.force is not None and summary.recipe_of(table) != self._summary_recipe:
            self.force(str(self.place("results/summary.csv")))
        return [f"results/statistics/{name}.json" for name in self._names()]

    def summary_task(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what the summary takes from headers, and the recipe."""
        return {
            "lights": self.light_rows(),
            "limits": self.config["limits"],
            "recipe": self._summary_recipe,
        }

    def summary_files(self, wildcards: Wildcards, input: Any) -> dict[str, list[str]]:  # noqa: A002
        """Return what is not drawn of the night any more."""
        unwanted = [] if self.config["pictures"] else [*NIGHT_PICTURES]
        unwanted += [] if self.config["quality"] else [*QUALITY_TABLES]
        return {"undrawn": self._places(unwanted)}

    @cached_property
    def _summary_recipe(self) -> str:
        return records.digest_of([self.light_rows(), self.config["limits"], self.code("summarise")])

    def light_rows(self) -> list[dict[str, Any]]:
        """List what the summary takes from the headers of the LIGHT frames."""
        return [
            {
                **self._row(light),
                "masked_frame": name,
                "remarks": self.matcher.remarks(light),
                "made_masks": {k: str(self.place(v)) for k, v in self._records_of_made_masks(light).items()},
            }
            for name, light in self.lights.items()
        ]

    # A frame to try settings on

    def to_try(self, path: str) -> dict[str, Any]:
        """Return what is needed to try settings on a LIGHT frame.

        Parameters
        ----------
        path : str
            Of the frame in the folder.

        Returns
        -------
        dict
            ``frame``, ``name``, ``combined`` (None if no mask applies), ``companion`` (None, or path and name), and
            ``config``.

        Raises
        ------
        FrameError
            If it is no LIGHT frame that can be masked.
        """
        light = self._light_of(path)
        combined = self.combined_mask_of(light)
        companions = [(self.path_of(frame), frame.path) for frame in self._with_companions(light)[1:]]
        return {
            "frame": self.path_of(light),
            "name": light.path,
            "combined": self.place(combined) if combined else None,
            "companion": companions[0] if companions else None,
            "config": self._light_config,
        }

    def to_explain(self, path: str) -> dict[str, Any]:
        """Return what is needed to explain a pixel of a LIGHT frame.

        Parameters
        ----------
        path : str
            Of the frame in the folder.

        Returns
        -------
        dict
            As `to_try`, and ``masks``, ``combining`` and ``masked`` as `lightmask.masks.explain_pixel` takes them.

        Raises
        ------
        FrameError
            If it is no LIGHT frame that can be masked.
        """
        light = self._light_of(path)
        applying = self.matcher.applying(light)
        masks, combining = [], {}
        if applying:
            settings = self._combining_settings(applying.id)
            files = self._files_of(mask for _, mask in applying)
            masks = list(zip(settings["kinds"], files["paths"], settings["names"], strict=True))
            combining = {"radii": settings["grow"], **{key: settings[key] for key in ("checksums", "images", "most")}}
        name = next(name for name, each in self.lights.items() if each is light)
        return {
            **self.to_try(path),
            "masks": masks,
            "combining": combining,
            "masked": self.place(f"results/masked/{name}"),
        }

    def _light_of(self, path: str) -> types.Frame:
        """Return a LIGHT frame that can be masked."""
        light = next((light for light in self.lights.values() if light.path == path), None)
        if light is None:
            raise FrameError(f"{messages.printable(path)}: no LIGHT frame of that name in {self.folder}")
        if problem := light.problem:
            raise FrameError(f"{messages.printable(path)}: {problem}")
        return light

    # Rule assess

    def _assessed(self) -> list[str]:
        """Name up to three LIGHT frames to assess: of the most frequent filters and exposures the middle one each."""
        groups: dict[tuple[str, str], list[str]] = {}
        for name, light in self.lights.items():
            if not self.problem(light):
                row = self._row(light)
                groups.setdefault((str(row["filter"]), str(row["exposure"])), []).append(name)
        largest = sorted(groups.values(), key=len, reverse=True)[:MOST_ASSESSED]
        return [names[len(names) // 2] for names in largest]

    def assessed_inputs(self, wildcards: Wildcards) -> list[Any]:
        """Return the LIGHT frames to assess, and the masks that they share."""
        return self.inputs_of(self._assessed())

    def assessed_task(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return what to do with the frames to assess: names, companions, masks, the settings, and the code."""
        lights = [self.lights[name] for name in self._assessed()]
        config = self._light_config
        settings = {name: configuration.with_preset(config, name) for name in configuration.PRESETS}
        if config not in settings.values():
            settings["yours"] = config
        masks = [self.combined_mask_of(light) for light in lights]
        frames = [frame for light in lights for frame in self._with_companions(light)]
        return {
            "names": [light.path for light in lights],
            "stamps": self._files_of(frames)["stamps"],  # so that frames that are others now are assessed anew
            "companions": [next((f.path for f in self._with_companions(light)[1:]), "") for light in lights],
            "masks": [str(self.place(mask)) if mask else "" for mask in masks],
            "settings": settings,
            "code": self.code("assess"),
        }

    def assessed_files(self, wildcards: Wildcards, input: Any) -> dict[str, Any]:  # noqa: A002
        """Return paths and stamps of the frames to assess, and of what came with them."""
        lights = [self.lights[name] for name in self._assessed()]
        return self._files_of([frame for light in lights for frame in self._with_companions(light)])

    def assessed_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """Estimate the memory of assessing frames, in MB: of the largest one, with all that is held of it."""
        pixels = max(
            (prod(shape or (1, 1)) for name in self._assessed() for shape in self.lights[name].shapes), default=1
        )
        return attempt * int(300 + ASSESSED_BYTES * pixels / 1e6)

    # Rule all

    def shared_results(self) -> list[str]:
        """List what a run makes of all frames together, but for the summary."""
        used = {self.combined_mask_of(f) for f in self.lights.values() if not self.matcher.problem(f)}
        pictures = [f"results/pictures/masks/{Path(mask).stem}.png" for mask in sorted(used) if mask]
        checked = [CHECKED] if self.sources_inputs() else []
        assessed = [ACCURACY] if self.config["assess"] == "frames" and self._assessed() else []
        return ["results/frames.csv", *(pictures if self.config["pictures"] else []), *checked, *assessed]

    @property
    def quality_tables(self) -> list[str]:
        """Tables of what masks are judged by, if they are."""
        return [*QUALITY_TABLES] if self.config["quality"] else []

    @property
    def is_strict(self) -> bool:
        """Whether a remark makes the run fail."""
        return bool(self.config["remarks"] == "fail")

    def checked_summary(self, wildcards: Wildcards) -> list[str]:
        """Return the summary where its remarks make the run fail; in batches the job that writes it looks at them."""
        return ["results/summary.csv"] if self.is_strict and not self.in_batches else []

    def all_results(self) -> list[str]:
        """List all that a run makes.

        Raises
        ------
        FrameError
            If a report is made, and there is no picture to show.
        """
        tables = [
            "results/summary.csv",
            "results/summary.ecsv",
            *self.quality_tables,
            *(NIGHT_PICTURES if self.config["pictures"] else ()),
        ]
        names = self._names()
        if not names:
            raise FrameError("report: found no picture of any frame; mask the night first")
        checked = [CHECKED] if self.is_strict else []
        return [
            *dict.fromkeys([*self.shared_results(), *checked]),
            *tables,
            *(file for name in names for file in self.results_of(name)),
        ]

    def _names(self) -> list[str]:
        """List the LIGHT frames by name; for a report, which wants all files that it knows of, those with a picture."""
        if not (self.config["pictures"] and self._is_reporting()):
            return list(self.lights)
        return [name for name in self.lights if self.place(f"results/pictures/frames/{name}.png").exists()]

    def _places(self, paths: Iterable[str]) -> list[str]:
        return [str(self.place(path)) for path in paths]

    def usable(self, names: Collection[str]) -> list[types.Frame]:
        """List, of LIGHT frames given by name, those that can be masked and are still there."""
        lights = [self.lights[name] for name in names if name in self.lights]
        return [light for light in lights if not self.problem(light)]

    def inputs_of(self, names: Collection[str]) -> list[Any]:
        """Return LIGHT frames given by name, and the masks that they share."""
        usable = self.usable(names)
        masks = {self.combined_mask_of(light) for light in usable} - {""}
        frames = {f.path: f for light in usable for f in (*self._with_companions(light), *self._repeats_of(light))}
        return [*(file for frame in frames.values() for file in self._input_of(frame)), *sorted(masks)]
