"""Headers, configuration and pixels that hypothesis makes up: a result, or the documented error."""

import datetime
import io
import json
import warnings

import ccdproc
import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from corpus import PLAIN, primary, sky
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.masks import cosmicrays, mask_frame
from lightmask.night import inventory, matching, summary, types
from lightmask.night.configuration import schema, validated

CONFIG = validated({"required_masks": [], "noise_check": "off", "most_masked": 1})
KEYWORDS = types.keywords_needed(CONFIG)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "night").mkdir()
    return folder


def outcome(folder, content):
    """Search a folder with one file, mask it, and write its summary; give its row."""
    (folder / "night/a.fits").write_bytes(content)
    (folder / "headers.json").unlink(missing_ok=True)
    (frame,) = types.frames(inventory.Inventory(folder / "night", folder / "headers.json", KEYWORDS).scan(), CONFIG)
    problem = frame.problem or matching.MaskMatcher([frame], CONFIG).problem(frame)
    results = folder / "masked.fits", folder / "statistics.json"
    if not problem:
        try:
            mask_frame(folder / "night/a.fits", "a.fits", None, *results, CONFIG)
        except FrameError as error:
            problem = str(error)
            assert problem.startswith("a.fits: ")
    assert problem.isprintable()
    row = types.table_row(frame, CONFIG) | {"masked_frame": frame.name, "problem": problem}
    rows = summary.summary_rows([row], [None if problem else results[1]])
    tables = folder / "summary.csv", folder / "summary.ecsv"
    summary.write_summary(rows, *tables)
    assert len(Table.read(tables[1])) == 1
    return rows[0]


KNOWN = sorted({*KEYWORDS, "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "BSCALE", "BZERO", "BLANK", "EXTNAME", "ZIMAGE"})
KNOWN += ["BUNIT", "GCOUNT", "PCOUNT", "GROUPS", "EXTEND", "CONTINUE", "HIERARCH", "COMMENT", "END", "CHECKSUM"]
values = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=70).map(lambda text: f"'{text}'"),
    st.text(max_size=70),
    st.sampled_from(["T", "F", "", "'", "'LIGHT'", "'adu'", "1.5D3", "NaN", "-", "''''", "'&'", "(1, 2)"]),
)
cards = st.one_of(
    st.builds("{:<8}= {}".format, st.sampled_from(KNOWN), values).map(str.encode),
    st.builds("HIERARCH {} = {}".format, st.text(max_size=20), values).map(str.encode),
    st.binary(max_size=80),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(cards, max_size=4), st.integers(0, 8))
def test_headers_of_any_cards(folder, added, place):
    header = b"".join([PLAIN[: 80 * place], *(card.ljust(80)[:80] for card in added), PLAIN[80 * place : 2880]])[:2880]
    row = outcome(folder, header + PLAIN[2880:])
    assert row["problem"] or row["pixels"]


yaml_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(10**300, 10**400),
        st.floats(),
        st.text(max_size=8),
        st.dates(),
        st.datetimes(),
        st.binary(max_size=4),
        st.sampled_from(["$(touch x)", "; rm -rf x", "../..", "<script>", "a\nb", "1", "true", "1_0", "nan", "1e999"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.none(), st.dates()), inner, max_size=3),
    ),
    max_leaves=6,
)


def paths(rule, above=()):
    for key, part in rule["properties"].items():
        yield (*above, key)
        if "properties" in part:
            yield from paths(part, (*above, key))


@settings(max_examples=600, deadline=None)
@given(st.dictionaries(st.sampled_from([*paths(schema()), ("frame",), ("cosmic_rays", 1)]), yaml_values, max_size=3))
@example({("cosmic_rays", "niter"): "1" * 5000})
@example({("frames",): datetime.date(2025, 5, 30)})
@example({("cosmic_rays", "gain"): 10**400})
def test_configurations_of_any_values(chosen):
    config = {}
    for path, value in chosen.items():
        *above, key = path
        section = config
        for name in above:
            if not isinstance(section.get(name), dict):
                section[name] = {}
            section = section[name]
        section[key] = value
    try:
        complete = validated(config)
    except ValueError as error:
        for line in str(error).split("\n"):
            assert line.startswith("configuration: ") and line.isprintable()
        return
    json.dumps(complete)
    types.keywords_needed(complete)


kinds = st.sampled_from(["u1", ">i2", ">i4", ">i8", ">f4", ">f8", "u2", "u4", "u8", "i1"])
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


OVERFLOWING = 2.0**127
"""Of larger values two have a sum that float32 cannot hold, and then masks may differ: see docs/lacosmic.md."""


@settings(max_examples=300, deadline=None)
@given(kinds.flatmap(lambda kind: arrays.arrays(kind, shapes)))
def test_pixels_of_any_values(folder, data):
    file = io.BytesIO()
    primary(data).writeto(file)
    row = outcome(folder, file.getvalue())
    assert row["problem"] == "" and row["pixels"] == data.size
    with fits.open(folder / "masked.fits") as hdus:
        assert hdus[0].data.astype(data.dtype).tobytes() == data.tobytes()
        flags, mask = hdus["FLAGS"].data, hdus["MASK"].data
    assert np.array_equal(mask, (flags & ~np.int16(Flag.SATURATED)) != 0)
    assert np.array_equal(flags & Flag.NOTFINITE != 0, ~np.isfinite(data))
    if min(data.shape) >= cosmicrays.LEAST_SIDE and (np.abs(data.astype(float)) < OVERFLOWING).all():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what float32 cannot hold
            ccd = CCDData(data.astype(data.dtype.newbyteorder("=")), unit="adu")
            theirs = ccdproc.cosmicray_lacosmic(ccd, readnoise=10, sigclip=8).mask
        assert np.array_equal(flags & (Flag.COSMIC | Flag.SUSPECT) != 0, theirs)


@pytest.mark.parametrize("kind", ["i2", "i4", "f4", "f8"])
def test_either_byte_order_gives_the_same(kind):
    masked = [cosmicrays.detect(sky(kind).astype(f"{order}{kind}"), None, CONFIG["cosmic_rays"]).mask for order in "<>"]
    assert masked[0].sum() == 1 and np.array_equal(*masked)


@pytest.mark.parametrize("text", ["cosmic_rays: &x {gain: *x}", "masked: &x [*x]", "unit_names: &x {DN: *x}"])
def test_a_configuration_that_holds_itself_is_refused(text):
    with pytest.raises(ValueError, match=r"^configuration: .*$"):
        validated(yaml.safe_load(text))
