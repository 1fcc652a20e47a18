"""What is measured of each image, to judge its mask: columns of tables, and cards of headers."""

QUALITY_COLUMNS: dict[str, tuple[str, str]] = {
    "noise_ratio": ("", "noise of the sky, in that of gain, read noise and counts"),
    "noise_correlation": ("", "part of the noise that neighbours share"),
    "noise_contrast": ("", "noise of a quarter of the image, in that of another, at the most"),
    "sky": ("adu", "median"),
    "missing_sky": ("adu", "sky that would have to be added so that the noise fits the model"),
    "ceiling": ("adu", "level that the brightest pixels of several stars share"),
    "lines_along_axis": ("", "part of the columns, or of the rows, that differ from others beside them"),
    "colour_contrast": ("", "levels of the pixels of a pattern of two by two, by how many sigma they differ"),
    "stars": ("", "stars that were looked at"),
    "fwhm": ("pix", "full width at half maximum of stars, median"),
    "star_cores": ("", "fraction of these stars whose core is flagged as a cosmic ray"),
    "event_rate": ("1 / s", "cosmic rays per megapixel and second"),
    "event_rate_area": ("1 / (cm2 s)", "cosmic rays per square centimetre and second"),
    "in_trails": ("", "fraction of cosmic-ray pixels in trails of saturated stars"),
    "at_bad_pixels": ("", "pixels like cosmic rays that touch known bad ones, by runs of these"),
    "in_rim": ("", "fraction of cosmic-ray pixels where the level of the image falls at its border"),
    "in_lines": ("", "fraction of cosmic-ray pixels in straight edges, columns or rows"),
    "rim": ("", "fraction of the image that is rim"),
    "on_extended": ("", "fraction of cosmic-ray pixels where the image is brighter than its sky over many pixels"),
    "extended": ("", "fraction of the image that is"),
    "one_colour": ("", "largest fraction of cosmic rays on one pixel of a pattern of two by two"),
    "one_half": ("", "density of cosmic rays in one half or quarter, in that of the rest, at the most"),
}
"""Unit and meaning of what is measured of each image."""
WHOLE = ("stars",)
"""Those that are whole numbers."""
