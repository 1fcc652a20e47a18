"""What a folder holds, and what its headers say: files, types, masks that apply, configuration, tables."""

from lightmask.night import cameras, names, quantities
from lightmask.night.cameras import Camera, camera_of
from lightmask.night.configuration import preset_text, unused_keys, validated, with_preset
from lightmask.night.fields import repeats
from lightmask.night.matching import FLAG_OF_KIND
from lightmask.night.names import from_cell
from lightmask.night.qualities import QUALITY_COLUMNS
from lightmask.night.quantities import AUTO, GAIN, READNOISE, SATLEVEL, exposure_of, first, gain_of
from lightmask.night.readout import NO_READNOISE, Amplifier, Readout, readout
from lightmask.night.remarks import (
    EXPOSURES,
    PIXEL_SIZES,
    YEARS,
    Row,
    exposure_area,
    number,
    rate_unit,
    remarked,
    within,
)
from lightmask.night.summary import FRAME_COLUMNS, NOT_YET, summary_rows, write_csv, write_quality, write_summary

__all__ = [
    "AUTO",
    "EXPOSURES",
    "FLAG_OF_KIND",
    "FRAME_COLUMNS",
    "GAIN",
    "NOT_YET",
    "NO_READNOISE",
    "PIXEL_SIZES",
    "QUALITY_COLUMNS",
    "READNOISE",
    "SATLEVEL",
    "YEARS",
    "Amplifier",
    "Camera",
    "Readout",
    "Row",
    "camera_of",
    "cameras",
    "configfiles",
    "configuration",
    "exposure_area",
    "exposure_of",
    "first",
    "from_cell",
    "gain_of",
    "inventory",
    "matching",
    "names",
    "number",
    "preset_text",
    "quantities",
    "rate_unit",
    "readout",
    "remarked",
    "repeats",
    "summary",
    "summary_rows",
    "types",
    "unused_keys",
    "validated",
    "with_preset",
    "within",
    "write_csv",
    "write_quality",
    "write_summary",
]
