"""The search of the frames folder: what is found, what is read, what is remembered."""

import bz2
import errno
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from conftest import CHECKOUT, without_rights, write_light, write_mask

from lightmask.night import inventory, types
from lightmask.night.configuration import validated

DEFAULTS = validated({})
IMAGE = np.ones((6, 8), np.float32)


def found_in(folder, **options):
    return sorted(path for path, _ in inventory.find_files(folder, **options))


def scanned(folder, config=DEFAULTS, code="", **options):
    """Scan a folder, with the cache beside it."""
    cache, keywords = folder.parent / "headers.json", types.keywords_needed(config)
    of_folder = inventory.Inventory(folder, cache, keywords, code)
    files = of_folder.scan(**options)
    of_folder.remember(files)
    return files


def night(folder, config=DEFAULTS):
    """Scan a folder, and give its frames by path."""
    return {frame.path: frame for frame in types.frames(scanned(folder, config), config)}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "night"
    path.mkdir()
    return path


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def test_search_is_recursive_and_by_extension_in_any_case(folder):
    wanted = ["a.fits", "b.FIT", "c.Fts", "d.fits.gz", "e.FITS.BZ2", "f.fit.Fz", "deep/er/g.fits", "h,{i} 'j'.fits"]
    touch(folder, *wanted, "a.txt", "fits", "b.fits.txt", "c.gz", "d.fits.zip", "e.fitsx")
    assert found_in(folder) == sorted(wanted)


def test_hidden_files_and_folders_are_passed_over(folder):
    touch(folder, ".a.fits", ".hidden/b.fits", "c.fits")
    assert found_in(folder) == ["c.fits"]


def test_folders_left_out_are_not_searched(folder):
    touch(folder, "a.fits", "results/b.fits", "results/masked/c.fits")
    assert found_in(folder, leave_out=[folder / "results", folder / "not there"]) == ["a.fits"]


def test_links_to_folders_and_files_are_followed(folder, tmp_path):
    touch(tmp_path, "elsewhere/a.fits", "elsewhere/deep/b.fits", "single.fits")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "c.fits").symlink_to(tmp_path / "single.fits")
    assert found_in(folder) == ["c.fits", "link/a.fits", "link/deep/b.fits"]


def test_the_folder_itself_can_be_a_link(folder, tmp_path):
    touch(folder, "a.fits")
    (tmp_path / "link").symlink_to(folder)
    assert found_in(tmp_path / "link") == ["a.fits"]


def test_loops_of_links_end(folder):
    touch(folder, "deep/a.fits")
    (folder / "deep" / "up").symlink_to(folder)
    assert found_in(folder) == ["deep/a.fits"]


def test_a_folder_with_a_name_of_a_file_is_searched(folder):
    touch(folder, "a.fits/b.fits")
    assert found_in(folder) == ["a.fits/b.fits"]


def test_a_folder_with_a_name_of_a_file_and_none_in_it_is_a_problem_of_its_own(folder):
    touch(folder, "full.fits/deep/b.fits", "empty.fits/b.txt")
    (folder / "link.fits").symlink_to("full.fits")
    (folder / "up.fits").symlink_to(".")
    assert found_in(folder) == ["empty.fits", "full.fits/deep/b.fits"]
    assert "a folder" in night(folder)["empty.fits"].problem


def test_a_link_that_leads_nowhere_is_a_problem_of_its_own(folder):
    write_light(folder / "a.fits")
    (folder / "b.fits").symlink_to(folder / "gone.fits")
    found = night(folder)
    assert "leads nowhere" in found["b.fits"].problem
    assert found["b.fits"].to_mask
    assert not found["a.fits"].problem


def test_a_link_to_itself_is_a_problem_of_its_own(folder):
    write_light(folder / "a.fits")
    (folder / "b.fits").symlink_to("b.fits")
    found = night(folder)
    assert found["b.fits"].problem
    assert not found["a.fits"].problem


def packed_table(path, size, module):
    """Write a packed file of a primary header, a table of so many bytes, and an image."""
    table = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 2880, "NAXIS2": size // 2880}
    cards = table | {"PCOUNT": 0, "GCOUNT": 1, "TFIELDS": 1, "TFORM1": "2880B"}
    with module.open(path, "wb", compresslevel=1) as file:
        file.write(fits.PrimaryHDU(header=fits.Header({"IMAGETYP": "LIGHT"})).header.tostring().encode())
        file.write(fits.Header(cards).tostring().encode())
        for start in range(0, size, 2880 * 1000):
            file.write(bytes(min(2880 * 1000, size - start)))
        image = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(IMAGE)]).writeto(image)
        file.write(image.getvalue()[2880:])


@pytest.mark.parametrize("module", [gzip, bz2])
def test_the_search_unpacks_so_much_of_a_file_and_no_more(folder, module):
    """Of the second file, whose table would take minutes, the end is not even there."""
    least, limit = 2880 * 10, inventory.MOST_UNPACKED - 2880 * 2
    packed_table(folder / "a.fits", least, module)
    packed_table(folder / "b.fits", limit // 2880 * 2880 + 2880, module)
    huge = fits.Header({"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 10**6, "NAXIS2": 10**6})
    start = fits.PrimaryHDU().header.tostring() + huge.tostring()
    (folder / "c.fits").write_bytes(module.compress(start.encode()))
    began = time.monotonic()
    found = night(folder)
    assert time.monotonic() - began < 20
    assert (found["a.fits"].type, found["a.fits"].problem, found["a.fits"].shape) == (types.LIGHT, "", IMAGE.shape)
    told = "no image in the first 256 MB of what it unpacks to; unpack it, or take it out of the folder"
    assert found["b.fits"].problem == found["c.fits"].problem == told


def test_a_pipe_does_not_hold_up_the_search(folder):
    write_light(folder / "a.fits")
    os.mkfifo(folder / "pipe.fits")
    found = {}
    search = threading.Thread(target=lambda: found.update(night(folder)), daemon=True)
    search.start()
    search.join(timeout=30)
    assert "regular file" in found["pipe.fits"].problem
    assert found["a.fits"].type == types.LIGHT


def test_a_file_that_is_ahead_of_the_clock_is_refused_until_its_time_has_come(folder):
    write_light(folder / "a.fits")
    os.utime(folder / "a.fits", (time.time() + 2.5,) * 2)
    assert "ahead of this machine's clock" in night(folder)["a.fits"].problem
    time.sleep(2)
    assert night(folder)["a.fits"].problem == ""


def test_a_missing_folder_has_no_files(tmp_path):
    assert scanned(tmp_path / "not there") == {}


def test_headers_of_unchanged_files_are_not_read_again(folder):
    write_light(folder / "a.fits")
    write_light(folder / "b.fits")
    scanned(folder)
    cache = folder.parent / "headers.json"
    cache.write_text(cache.read_text().replace('"LIGHT"', '"remembered"'))
    write_light(folder / "c.fits", FILTER="g")
    after = scanned(folder)
    assert after["a.fits"]["cards"]["IMAGETYP"] == after["b.fits"]["cards"]["IMAGETYP"] == "remembered"
    assert (after["c.fits"]["cards"]["FILTER"], after["c.fits"]["cards"]["IMAGETYP"]) == ("g", "LIGHT")


@pytest.mark.parametrize(("number", "text"), [(errno.EIO, "EIO"), (errno.ESTALE, "ESTALE"), (errno.ENOMEM, "ENOMEM")])
def test_what_the_machine_refused_once_is_not_remembered(folder, tmp_path, number, text):
    """A program that sees the error in earnest: an audit hook refuses to open this file."""
    write_light(folder / "a.fits")
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os, sys\n"
        "def refuse(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('a.fits'):\n"
        f"        raise OSError(errno.{text}, os.strerror(errno.{text}), arguments[0])\n"
        "sys.addaudithook(refuse)\n"
    )
    code = (
        "import sys, json; from pathlib import Path; from lightmask.night.inventory import Inventory\n"
        "folder, cache = map(Path, sys.argv[1:])\n"
        "night = Inventory(folder, cache, ['IMAGETYP'])\n"
        "found = night.scan()\n"
        "night.remember(found)\n"
        "print(found['a.fits']['problem'])"
    )
    scripts = str(CHECKOUT / "scripts")
    cache = tmp_path / "headers.json"
    problems = [
        subprocess.run(
            [sys.executable, "-c", code, folder, cache],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for places in ([str(tmp_path), scripts], [scripts])
    ]
    assert os.strerror(number) in problems[0] and problems[1] == ""


def test_a_file_without_a_right_to_read_it_is_read_when_there_is_one(folder):
    write_light(folder / "a.fits")
    (folder / "a.fits").chmod(0)
    with without_rights():
        found = night(folder)["a.fits"]
    assert "Permission denied" in found.problem and found.to_mask
    (folder / "a.fits").chmod(0o644)
    assert night(folder)["a.fits"].problem == ""


def test_a_problem_is_remembered_for_the_code_that_found_it_only(folder):
    (folder / "a.fits").write_bytes(b"no FITS")
    scanned(folder)
    cache = folder.parent / "headers.json"
    cache.write_text(cache.read_text().replace("not a FITS file", "found before"))
    assert scanned(folder)["a.fits"]["problem"].startswith("found before")
    remembered = json.loads(cache.read_text())
    cache.write_text(json.dumps(remembered | {"key": remembered["key"] | {"code": "another"}}))
    assert scanned(folder)["a.fits"]["problem"].startswith("not a FITS file")


def test_a_folder_that_cannot_be_searched_costs_only_itself(folder):
    write_light(folder / "a.fits")
    write_light(folder / "lost+found/b.fits")
    (folder / "lost+found").chmod(0)
    with without_rights():
        found = night(folder)
    (folder / "lost+found").chmod(0o755)
    assert found["a.fits"].problem == ""
    assert found["lost+found"].problem.startswith("cannot be searched (Permission denied)")
    assert found["lost+found"].to_mask  # it may hold LIGHT frames, so the exit status tells
    assert set(night(folder)) == {"a.fits", "lost+found/b.fits"}


@pytest.mark.parametrize("marks", [("headers.json", "logs/x.log"), ("headers.json", ".lock")])
def test_results_of_another_run_are_not_searched_and_not_passed_over_in_silence(folder, marks):
    write_light(folder / "a.fits")
    write_mask(folder / "w1/results/static_masks/m.fits", "flat mask")
    (folder / "w1/results/links").mkdir()
    (folder / "w1/results/links/b.fits").symlink_to(folder / "a.fits")
    touch(folder / "w1/results", *marks)
    found = night(folder)
    assert set(found) == {"a.fits", "w1/results"}
    assert found["w1/results"].type == types.FOREIGN_RESULTS and not found["w1/results"].to_mask


@pytest.mark.parametrize("change", ["mtime", "size", "ctime"])
def test_changed_files_are_read_again(folder, change):
    path = folder / "a.fits"
    write_light(path)
    scanned(folder)
    old = path.stat()
    write_light(path, FILTER="z")
    if change == "ctime":
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    elif change == "size":
        fits.append(path, IMAGE, verify=False)
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    else:
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    assert scanned(folder)["a.fits"]["cards"]["FILTER"] == "z"


def test_deleted_files_are_forgotten(folder):
    write_light(folder / "a.fits")
    write_light(folder / "b.fits")
    scanned(folder)
    (folder / "a.fits").unlink()
    assert list(scanned(folder)) == ["b.fits"]
    assert "a.fits" not in (folder.parent / "headers.json").read_text()


def test_other_keywords_are_read_anew(folder):
    write_light(folder / "a.fits", OBJECT="M 13")
    scanned(folder)
    assert inventory.Inventory(folder, folder.parent / "headers.json", ["OBJECT"]).scan()["a.fits"]["cards"] == {
        "OBJECT": "M 13"
    }


def test_a_cache_that_nothing_changed_is_not_written_again(folder):
    write_light(folder / "a.fits")
    cache = folder.parent / "headers.json"
    scanned(folder)
    os.utime(cache, (1, 1))
    scanned(folder)
    assert cache.stat().st_mtime == 1


@pytest.mark.parametrize("content", [b"", b"not JSON", b"[]", b"{}", b'{"key": 1, "files": {}}', b"\xff"])
def test_a_broken_cache_is_made_anew(folder, content):
    write_light(folder / "a.fits")
    (folder.parent / "headers.json").write_bytes(content)
    assert scanned(folder)["a.fits"]["shape"] == [64, 80]
    assert [path.name for path in folder.parent.iterdir() if path.suffix == ".part"] == []


def test_paths_are_sorted_and_names_of_any_bytes_survive_the_cache(folder):
    odd = os.fsdecode(b"\xff\n.fits")
    for name in ("b.fits", "a.fits", odd):
        write_light(folder / name)
    assert list(scanned(folder)) == list(scanned(folder)) == ["a.fits", "b.fits", odd]


def test_planned_files_are_listed_until_they_are_there(folder):
    planned = {"a.fits": {"shape": [2, 3], "cards": {"IMAGETYP": "LIGHT"}, "problem": ""}}
    assert scanned(folder, planned=planned)["a.fits"]["shape"] == [2, 3]
    write_light(folder / "a.fits")
    assert scanned(folder, planned=planned)["a.fits"]["shape"] == [64, 80]


def test_an_undefined_card_is_as_good_as_none(folder):
    hdu = fits.PrimaryHDU(IMAGE)
    hdu.header["IMAGETYP"] = None
    hdu.writeto(folder / "a.fits")
    assert night(folder)["a.fits"].type == ""


@pytest.mark.parametrize("where", ["primary", "extension"])
def test_an_image_in_the_first_extension_is_found_with_cards_of_both_headers(folder, where):
    primary, table = fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])
    image = fits.ImageHDU(IMAGE)
    (primary if where == "primary" else image).header["IMAGETYP"] = "LIGHT"
    primary.header["FILTER"] = "of the primary"
    image.header["FILTER"] = "of the image"
    fits.HDUList([primary, table, image, fits.ImageHDU(np.ones((2, 2)))]).writeto(folder / "a.fits")
    frame = night(folder)["a.fits"]
    assert (frame.type, frame.shape, frame.cards["FILTER"]) == ("light", (6, 8), "of the image")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".fz"])
def test_compressed_frames_are_read(folder, suffix):
    path = folder / f"a.fits{suffix}"
    if suffix == ".fz":
        hdu = fits.CompImageHDU(IMAGE.astype(np.int16))
        hdu.header["IMAGETYP"] = "LIGHT"
        hdu.writeto(path)
    else:
        write_light(folder / "a.fits", data=IMAGE)
        plain = (folder / "a.fits").read_bytes()
        (folder / "a.fits").unlink()
        path.write_bytes((gzip.compress if suffix == ".gz" else bz2.compress)(plain))
    frame = night(folder)[path.name]
    assert (frame.type, frame.shape, frame.problem, frame.name) == ("light", (6, 8), "", "a.fits")


def write_table(path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def write_cut_header(path):
    write_light(path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (write_cut_header, "breaks off"),
        (lambda path: path.write_text("no FITS " * 1000), "not a FITS file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"\x1f\x8b broken"), "cannot be read"),
        (lambda path: path.write_bytes(gzip.compress(b"SIMPLE")[:-4]), "cannot be read"),
        (write_table, "no image"),
        (lambda path: fits.PrimaryHDU(np.ones((2, 3, 4))).writeto(path), "4x3x2"),
        (lambda path: fits.PrimaryHDU(np.ones(5)).writeto(path), "expected two axes"),
    ],
    ids=["cut header", "text", "empty", "broken gzip", "cut gzip", "table", "3-D", "1-D"],
)
@pytest.mark.filterwarnings("default")  # a user's run does not turn what astropy says into errors
def test_a_file_without_an_image_is_a_problem_of_its_own(folder, write, cause):
    write(folder / "bad.fits")
    write_light(folder / "good.fits")
    found = night(folder)
    problem = found["bad.fits"].problem
    assert cause in problem
    assert len(problem.splitlines()) == 1
    assert "; " in problem, "the remedy stands behind a semicolon"
    assert "()" not in problem
    assert found["bad.fits"].to_mask
    assert found["good.fits"].problem == ""


def test_scan_does_not_write_into_the_folder(folder):
    write_light(folder / "a.fits")
    before = sorted(Path(folder).rglob("*"))
    scanned(folder)
    assert sorted(Path(folder).rglob("*")) == before
