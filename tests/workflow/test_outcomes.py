"""The summary of a night of which frames failed."""

import csv
import json

from astropy.table import Table

from lightmask.bits import REASONS
from lightmask.workflow import outcomes


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_statistics(path, **changes):
    counts = {"pixels": 5120, "masked": 7, "fraction": 7 / 5120, **dict.fromkeys(REASONS, 0)}
    about = {key: changes.pop(key) for key in ("path", "remarks") if key in changes}
    counts |= {"flat": 4, "cosmic": 3, "iterations": [3, 1, 0]} | changes
    path.write_text(json.dumps({"path": "a.fits", **counts, "images": [{"image": "", **counts}]} | about))
    return path


def light(name, **changes):
    return {"path": name, "masked_frame": name, "filter": "r", "exposure": 30.5} | changes


def test_a_partial_summary_gives_causes_and_counts_as_out_of_date(tmp_path):
    done = write_statistics(tmp_path / "done.json")
    log = tmp_path / "failed.log"
    log.write_text("some output\nFAILED: failed.fits: broken; correct it\n")
    gone = tmp_path / "gone"
    lights = [light(f"{name}.fits") for name in ("done", "failed", "waiting", "outdated")]
    became = [(done, gone, []), (gone, log, [gone]), (gone, gone, []), (done, gone, [gone, log])]
    causes = outcomes.write_partial(lights, became, tmp_path / "s.csv", tmp_path / "s.ecsv")
    assert causes == [
        "failed.fits: broken; correct it",
        "waiting.fits: not masked yet",
        "failed.fits: broken; correct it",
    ]
    rows = read_csv(tmp_path / "s.csv")
    assert [row["problem"] for row in rows] == ["", *causes]
    assert [row["cosmic"] for row in rows] == ["3", "", "", ""]
    assert len(Table.read(tmp_path / "s.ecsv")) == 4
    assert [(tmp_path / name).stat().st_mtime for name in ("s.csv", "s.ecsv")] == [0, 0]


def test_an_old_failure_of_a_frame_that_is_done_does_not_count(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("FAILED: a.fits: broken\n")
    became = [(write_statistics(tmp_path / "a.json"), log, [])]
    assert outcomes.write_partial([light("a.fits")], became, tmp_path / "s.csv", tmp_path / "s.ecsv") == []
