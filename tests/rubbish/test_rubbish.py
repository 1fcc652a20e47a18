"""Fed rubbish: each file has the outcome written beside it, alone and in one night; so have the files of peers."""

import bz2
import contextlib
import csv
import gzip
import hashlib
import html
import importlib.util
import io
import json
import re
import signal
import stat
import tracemalloc
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from conftest import CHECKOUT, give_up_rights, run_workflow, without_rights, write_calibrations, write_light
from corpus import CORPUS, GROUPS, NO_IMAGE, LeftOut, Masked, make, not_fits, two_axes, unit

from lightmask import bits, messages
from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.masks import combine_files, cosmicrays, mask_frame
from lightmask.night import inventory, matching, names, types
from lightmask.night.configuration import validated
from lightmask.show import draw_files, draw_frame

CONFIG = validated({"required_masks": [], "noise_check": "off", "most_masked": 1})
HANG = 60
"""Seconds that no step takes, however busy the machine is."""


@contextlib.contextmanager
def no_hang():
    def end(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, end)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)


class Night:
    """A folder that has been searched, and what becomes of each of its files."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder.parent / "out"
        self.out.mkdir()
        with without_rights():
            found = inventory.Inventory(folder, folder.parent / "headers.json", types.keywords_needed(CONFIG)).scan()
        self.frames = {frame.path: frame for frame in types.frames(found, CONFIG)}
        self.matcher = matching.MaskMatcher(list(self.frames.values()), CONFIG)

    def outcome(self, path):
        """Do with a file what the workflow does; give the pixels by reason, or why there are none."""
        frame = self.frames.get(path)
        if frame is None:
            return None
        if not frame.to_mask:
            return LeftOut(frame.type)
        if frame.problem:
            return frame.problem
        with without_rights():
            return mask(self.folder / path, path, self.out, self.matcher.applying(frame))


def mask(path, name, out, applying=(), **cosmic_rays):
    """Mask a file with all that is drawn of it; give the pixels by reason, or why there are none."""
    for left in out.iterdir():
        left.unlink()
    config = CONFIG | {"cosmic_rays": CONFIG["cosmic_rays"] | cosmic_rays}
    results = [out / result for result in ("masked.fits", "statistics.json")]
    combined = out / "combined.fits" if applying else None
    try:
        if applying:
            files = [(kind, path.with_name(Path(mask.path).name), mask.path) for kind, mask in applying]
            combine_files(files, CONFIG["grow"], combined)
        draw = partial(draw_frame, picture=out / "picture.png", title=name)
        mask_frame(path, name, combined, *results, config, draw, out / "regions.reg")
    except FrameError as error:
        assert not {left.name for left in out.iterdir()} - {"combined.fits"}
        return str(error).removeprefix(f"{name}: ")
    counted = json.loads(results[1].read_text())
    return Masked({flag.lower(): counted[flag.lower()] for flag in bits.REASONS if counted[flag.lower()]})


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rubbish") / "night"
    folder.mkdir()
    make(folder)
    with no_hang():
        return Night(folder)


def as_expected(found, expected):
    if isinstance(expected, re.Pattern):
        return isinstance(found, str) and expected.fullmatch(found)
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: messages.printable(path)[:40])
def test_every_file_has_the_outcome_that_is_written_beside_it(night, path):
    expected = CORPUS[path][1]
    with no_hang():
        found = night.outcome(path)
    assert as_expected(found, expected), found
    if isinstance(found, Masked):
        compare(night.folder / path, night.out)
    elif type(found) is str:
        assert found.isprintable()


def image_of(hdus):
    return next(hdu for hdu in hdus if hdu.is_image and hdu.data is not None)


def compare(path, out):
    """Hold a masked frame against what astropy reads, and the mask against ccdproc's."""
    content, output = path.read_bytes(), out / "masked.fits"
    for module, beginning in ((gzip, b"\x1f\x8b"), (bz2, b"BZ")):
        if content.startswith(beginning):
            content = module.decompress(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cards and pixels are meant to be odd
        bits = fits.getdata(output, "FLAGS")
        stored = {"do_not_scale_image_data": True}
        with fits.open(io.BytesIO(content), **stored) as old, fits.open(output, **stored) as new:
            before, after = image_of(old).data, image_of(new).data
        before = before.astype(before.dtype.newbyteorder(">"))  # tiles are of this machine's byte order
        assert before.dtype == after.dtype and before.tobytes() == after.tobytes()
        with fits.open(io.BytesIO(content)) as old:
            data = image_of(old).data
            own = np.asarray(old["MASK"].data, bool) if "MASK" in old else None
        finite = np.isfinite(data)
        assert np.array_equal(bits & (Flag.NOTFINITE | Flag.NODATA) != 0, ~finite | (bits & Flag.NODATA != 0))
        if (finite & (bits & Flag.NODATA != 0)).any():  # a border that was filled: the other program searches it
            return
        if min(data.shape) < cosmicrays.LEAST_SIDE:
            return
        if finite.all():
            ccd = CCDData(data.astype(data.dtype.newbyteorder("=")), unit="adu", mask=own)
            theirs = ccdproc.cosmicray_lacosmic(ccd, readnoise=10, sigclip=8).mask
            assert np.array_equal(theirs if own is None else theirs & ~own, bits & (Flag.COSMIC | Flag.SUSPECT) != 0)
        else:
            mask(path, "a.fits", out, detector="ccdproc")
            assert np.array_equal(fits.getdata(output, "FLAGS"), bits)


@pytest.mark.parametrize("path", [path for path in CORPUS if "terabytes" in path])
def test_promises_take_no_memory(night, path):
    tracemalloc.start()
    night.outcome(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_the_documentation_has_the_numbers_of_the_corpus():
    kinds = Counter(type(expected) for _, expected in CORPUS.values())
    left, masked = kinds[LeftOut] + kinds[type(None)], kinds[Masked]
    said = f"{len(CORPUS)} files, each with its outcome written beside it: {masked} are masked, "
    said += f"{len(CORPUS) - masked - left} refused with the words that stand there, {left} left out"
    assert said in " ".join((CHECKOUT / "docs/reliability.md").read_text().split())


def state(folder):
    """All that can change in a folder, but for times of access."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[path] = [status.st_mode, status.st_size, status.st_mtime_ns]
        if path.is_symlink():
            found[path].append(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            found[path].append(hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def rows(table):
    with open(table, newline="", encoding="utf-8") as file:
        found = [{key: names.from_cell(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return {row["path"]: row for row in found}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Mask all files as one night, which is read-only, and look at the folder before and behind."""
    top = tmp_path_factory.mktemp("run")
    folder = top / "night"
    folder.mkdir()
    make(folder)
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    before = state(folder)
    config = [
        f"frames={folder}",
        "required_masks=[]",
        "noise_check=off",
        "most_masked=1",
        "pictures=false",
    ]  # drawn above
    run = run_workflow(top / "work", "--config", *config, preexec_fn=give_up_rights)
    run.before, run.after = before, state(folder)
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    return run


def test_the_night_ends_with_all_that_can_be_masked(run):
    assert run.returncode == 1
    summary, listed = rows(run.results / "summary.csv"), rows(run.results / "frames.csv")
    masked, told = set(), {}
    for path, (_, expected) in CORPUS.items():
        shown = messages.printable(path)
        assert (shown in listed) == (expected is not None), shown
        assert (shown in summary) == (not isinstance(expected, LeftOut | None)), shown
        if isinstance(expected, Masked):
            row = summary[shown]
            assert row["problem"] == "", shown
            found = {name.lower(): int(row[name.lower()]) for name in bits.REASONS}
            assert {name: count for name, count in found.items() if count} == expected, shown
            masked.add(row["masked_frame"])
        elif shown in summary:
            told[shown] = summary[shown]["problem"]
            cause = told[shown].removeprefix(f"{shown}: ")
            assert as_expected(cause, expected), cause
    assert len(listed) == sum(expected is not None for _, expected in CORPUS.values())
    assert len(summary) == len(masked) + len(told)
    results = run.results / "masked"
    assert masked == {str(path.relative_to(results)) for path in results.rglob("*") if not path.is_dir()}
    lines = run.output.splitlines()
    assert f"{len(told)} of {len(summary)} LIGHT frames have no result:" in lines
    assert not [problem for problem in told.values() if problem not in lines]


def test_the_terminal_shows_no_traceback_and_nothing_that_moves_its_cursor(run):
    assert "Traceback" not in run.output and 'File "' not in run.output.replace("CalledProcessError in file", "")
    assert not re.search(r"[\0-\x08\x0b-\x1f\x7f]", run.output)


def test_the_input_folder_is_never_written(run):
    assert run.after == run.before


def test_no_name_and_no_header_value_is_run_or_leaves_the_results(run):
    top = run.results.parent.parent
    assert sorted(path.name for path in top.iterdir()) == ["night", "work"]
    assert sorted(path.name for path in run.results.parent.iterdir()) == [".snakemake", "results"]
    assert not list(run.results.rglob("x"))
    assert not list(run.results.rglob("*.part"))


def test_the_night_can_be_drawn_and_shown_as_a_page(run, tmp_path):
    draw_files(run.results / "summary.csv", tmp_path / "night.png", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script>") == 1 and "<script>alert(1)<.fits" in html.unescape(page)


HOSTILE = """
frames: night
unit_names: {"`touch x`": adu}
frame_type: {light: [LIGHT, "$(touch x)"], flat: [FLAT, "; touch x"]}
table_keywords: {object: ["$(touch x)", OBJECT], camera: ["../../x"]}
"""


def test_no_header_value_and_no_setting_is_run_or_leaves_the_results(tmp_path):
    cards = {"FILTER": "../../../x", "OBJECT": "$(touch x)<script>alert(1)</script>", "INSTRUME": "; touch x #"}
    night = tmp_path / "night"
    write_calibrations(night)
    for path in night.iterdir():
        for keyword, value in cards.items():
            fits.setval(path, keyword, value=value)
    write_light(night / "a.fits", BUNIT="`touch x`", **cards)
    before = state(night)
    (tmp_path / "config.yaml").write_text(HOSTILE)
    run = run_workflow(tmp_path)
    assert run.returncode == 0, run.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [".snakemake", "config.yaml", "night", "results"]
    assert state(night) == before
    assert not list(tmp_path.rglob("x"))
    assert len(list((run.results / "static_masks").glob("*.fits"))) == 2
    assert "&lt;script&gt;alert(1)" in (run.results / "pictures/summary.html").read_text()
    assert not [page for page in run.results.rglob("*.html") if "<script>alert" in page.read_text()]


def test_a_configuration_makes_no_objects(tmp_path):
    (tmp_path / "config.yaml").write_text("frames: !!python/object/apply:os.system ['touch x']")
    run = run_workflow(tmp_path)
    assert run.returncode == 1 and "config.yaml: line 1: found no valid YAML" in run.output
    assert not (tmp_path / "x").exists()


COMPANION = re.compile("its image has the EXTNAME (WCSDVARR|D2IMARR), which is that of a companion of an image; .*")
PEERS = {
    "astropy/io/fits/hdu/compressed/tests/data/compressed_with_nan.fits": Masked(notfinite=1),
    "astropy/io/fits/hdu/compressed/tests/data/m13.fits": Masked(cosmic=6),
    "astropy/io/fits/hdu/compressed/tests/data/m13_gzip.fits": Masked(cosmic=6),
    "astropy/io/fits/hdu/compressed/tests/data/m13_hcomp.fits": Masked(cosmic=6),
    "astropy/io/fits/hdu/compressed/tests/data/m13_plio.fits": Masked(cosmic=6),
    "astropy/io/fits/hdu/compressed/tests/data/m13_rice.fits": Masked(cosmic=6),
    "astropy/io/fits/tests/data/arange.fits": two_axes("11x10x7"),
    "astropy/io/fits/tests/data/ascii.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/ascii_i4-i20.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/blank.fits": Masked(nodata=1),
    "astropy/io/fits/tests/data/btable.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/chandra_time.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/checksum.fits": Masked(),
    "astropy/io/fits/tests/data/checksum_false.fits": Masked(),
    "astropy/io/fits/tests/data/comp.fits": Masked(cosmic=188),
    "astropy/io/fits/tests/data/compressed_float_bzero.fits": two_axes("3"),
    "astropy/io/fits/tests/data/compressed_image.fits": Masked(),
    "astropy/io/fits/tests/data/double_ext.fits": Masked(),
    "astropy/io/fits/tests/data/fixed-1890.fits": Masked(),
    "astropy/io/fits/tests/data/group.fits": GROUPS,
    "astropy/io/fits/tests/data/history_header.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/invalid/group_invalid.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/logical_null.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/lzw.fits.Z": not_fits(b"\x1f\x9d\x90S\x924\x81\xc2\xa4"),
    "astropy/io/fits/tests/data/memtest.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/o4sp040b0_raw.fits": Masked(),
    "astropy/io/fits/tests/data/random_groups.fits": GROUPS,
    "astropy/io/fits/tests/data/scale.fits": Masked(cosmic=4),
    "astropy/io/fits/tests/data/stddata.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/table.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/tb.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/tdim.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/test0.fits": Masked(cosmic=2),
    "astropy/io/fits/tests/data/test1.fits": Masked(cosmic=2),
    "astropy/io/fits/tests/data/theap-gap.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/variable_length_table.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/verify.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/vla_logical_all_zero.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/vla_logical_null.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/vla_logical_pre_fix.fits": NO_IMAGE,
    "astropy/io/fits/tests/data/zerowidth.fits": two_axes("777777701x0"),
    "astropy/io/votable/tests/data/tb.fits": NO_IMAGE,
    "astropy/modeling/tests/data/1904-66_AZP.fits": unit("JY/BEAM"),
    "astropy/modeling/tests/data/idcompspec.fits": not_fits(b"# Thu 16:"),
    "astropy/nddata/tests/data/sip-wcs.fits": Masked(cosmic=5),
    "astropy/wcs/tests/data/dist.fits": COMPANION,
    "astropy/wcs/tests/data/dist_lookup.fits.gz": Masked(cosmic=58),
    "astropy/wcs/tests/data/dss.14.29.56-62.41.05.fits.gz": Masked(cosmic=816),
    "astropy/wcs/tests/data/header_newlines.fits": Masked(),
    "astropy/wcs/tests/data/header_with_time.fits": NO_IMAGE,
    "astropy/wcs/tests/data/header_with_time_wcslib71.fits": NO_IMAGE,
    "astropy/wcs/tests/data/ie6d07ujq_wcs.fits": COMPANION,
    "astropy/wcs/tests/data/j94f05bgq_flt.fits": Masked(),
    "astropy/wcs/tests/data/sip.fits": NO_IMAGE,
    "astropy/wcs/tests/data/sip2.fits": NO_IMAGE,
    "astropy/wcs/tests/data/tab-time-last-axis.fits": Masked(),
    "astropy/wcs/tests/data/validate.fits": NO_IMAGE,
    "astropy/wcs/wcsapi/tests/data/example_4d_tab.fits": NO_IMAGE,
    "ccdproc/tests/data/a8280271.fits": Masked(cosmic=34, edge=12480),
    "ccdproc/tests/data/flat-mef.fits": Masked(),
    "ccdproc/tests/data/science-mef.fits": Masked(),
    "ccdproc/tests/data/sip-wcs.fit": Masked(cosmic=5),
}
"""The FITS files that astropy and ccdproc ship for their own tests; what later versions add has no entry."""


def peers_files():
    for package in ("astropy", "ccdproc"):
        root = Path(importlib.util.find_spec(package).origin).parent
        for path in sorted(root.rglob("*.fit*")):
            if path.suffix != ".py" and path.is_file():
                yield f"{package}/{path.relative_to(root).as_posix()}", path


@pytest.mark.parametrize(("name", "path"), [*peers_files()], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.filterwarnings("default")  # a user's run does not turn what astropy says into errors
def test_files_of_peers_are_masked_or_refused(tmp_path, name, path):
    with no_hang():
        found = mask(path, "a.fits", tmp_path)
    if isinstance(found, Masked):
        compare(path, tmp_path)
    if name in PEERS:
        assert as_expected(found, PEERS[name]), found


def test_all_that_is_known_of_peers_files_is_used():
    assert len(PEERS) > 50
    assert len(set(PEERS) & {name for name, _ in peers_files()}) > len(PEERS) / 2
