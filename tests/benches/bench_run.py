"""Time the whole workflow against the chapter's loop on the same frames, in one run: `make bench-run`.

Prints the ratio, frames per minute, and where the time of the workflow goes.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

CHECKOUT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(CHECKOUT / "tests"))

from skies import star_field

CORES = 2
LOOP = """
import sys
from pathlib import Path

from astropy import units as u
from astropy.nddata import CCDData

import ccdproc as ccdp

path = Path(sys.argv[1])
ifc = ccdp.ImageFileCollection(path)
mask_ccdmask = CCDData.read(path / "mask_from_ccdmask.fits", unit=u.dimensionless_unscaled)
mask_ccdmask.data = mask_ccdmask.data.astype("bool")
mask_hot_pix = CCDData.read(path / "mask_from_dark_current.fits", unit=u.dimensionless_unscaled)
mask_hot_pix.data = mask_hot_pix.data.astype("bool")
combined_mask = mask_ccdmask.data | mask_hot_pix.data
for ccd, file_name in ifc.ccds(imagetyp="light", return_fname=True):
    new_ccd = ccdp.cosmicray_lacosmic(ccd, readnoise=10, sigclip=8, verbose=True)
    overall_mask = new_ccd.mask | combined_mask
    if ccd.mask is not None:
        ccd.mask = ccd.mask | overall_mask
    else:
        ccd.mask = overall_mask
    ccd.write(ifc.location / file_name, overwrite=True)
"""


def make_night(folder: Path, size: int, frames: int) -> None:
    """Write star fields in adu, as calibration leaves them, and two masks."""
    folder.mkdir()
    for number in range(frames):
        light = fits.PrimaryHDU(star_field(size, seed=number).astype(np.float32))
        light.header["IMAGETYP"] = "LIGHT"
        light.header["BUNIT"] = "adu"
        light.header["EXPTIME"] = 90.0
        light.writeto(folder / f"light-{number:03d}.fits")
    random = np.random.default_rng(size)
    for name, type_ in (("mask_from_ccdmask", "flat mask"), ("mask_from_dark_current", "dark mask")):
        mask = fits.PrimaryHDU((random.random((size, size)) < 3e-4).astype(np.uint8))
        mask.header["IMAGETYP"] = type_
        mask.writeto(folder / f"{name}.fits")


def seconds(command: list[str | Path]) -> float:
    """Run a command and give the time it took."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def workflow(night: Path, work: Path, pictures: bool = False) -> list[str | Path]:
    """Return the command that masks a night, which is all that the loop does, or draws it as well."""
    snakemake = [sys.executable, "-m", "snakemake", "-s", CHECKOUT / "Snakefile", "--cores", str(CORES)]
    return [*snakemake, "--directory", work, "--config", f"frames={night}", f"pictures={pictures}"]


def shares(results: Path, wall: float) -> dict[str, float]:
    """Return the share of the cores' time that each part of the workflow took."""
    stages = dict.fromkeys(("reading", "detection", "writing"), 0.0)
    for log in (results / "logs/mask_light").iterdir():
        for stage, time_ in re.findall(r"^(reading|detection|writing): ([\d.]+) s$", log.read_text(), re.MULTILINE):
            stages[stage] += float(time_)
    in_jobs = sum(
        float(file.read_text().splitlines()[1].split("\t")[0]) for file in results.rglob("benchmarks/**/*.tsv")
    )
    stages["interpreter, imports and tables"] = in_jobs - sum(stages.values())
    stages["Snakemake, and cores without work"] = wall * CORES - in_jobs
    return {stage: part / (wall * CORES) for stage, part in stages.items()}


def differing(loop: Path, results: Path) -> int:
    """Count the pixels in which the masks of the two differ."""
    pairs = [(loop / path.name, path) for path in (results / "masked").iterdir()]
    return sum(int(np.sum(fits.getdata(a, "MASK") != fits.getdata(b, "MASK"))) for a, b in pairs)


def compare(size: int, frames: int, folder: Path, rounds: int) -> None:
    """Time both on one night; the workflow several times, because it is short."""
    night, copy = folder / f"{size}", folder / f"{size}-loop"
    make_night(night, size, frames)
    shutil.copytree(night, copy)
    loop = seconds([sys.executable, "-c", LOOP, copy])
    runs, drawn = [], []
    for number in range(rounds):
        work = folder / f"{size}-work-{number}"
        runs.append((seconds(workflow(night, work)), work / "results"))
        drawn.append(seconds(workflow(night, folder / f"{size}-drawn-{number}", pictures=True)))
    ours, results = sorted(runs)[len(runs) // 2]
    summary = {
        "frames": f"{frames} of {size}x{size}",
        "loop": f"{loop:.1f} s, {frames / loop * 60:.1f} frames/min",
        "lightmask": f"{ours:.1f} s (of {', '.join(f'{t:.1f}' for t, _ in runs)}), {frames / ours * 60:.0f} frames/min",
        "ratio": f"{loop / ours:.1f}",
        "with pictures": f"{sorted(drawn)[rounds // 2] / ours:.2f} times as long",
        "differing mask pixels": differing(copy, results),
        "shares": {stage: f"{share:.0%}" for stage, share in shares(results, ours).items()},
    }
    print(json.dumps(summary, indent=2), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three small frames only")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as temporary:
        for size, frames in [(512, 3)] if quick else [(2048, 20), (4096, 8)]:
            compare(size, frames, Path(temporary), rounds=1 if quick else 3)
