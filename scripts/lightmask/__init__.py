"""Trustworthy pixel masks for calibrated CCD frames."""

__version__ = "0.1.0"


class FrameError(Exception):
    """A file that cannot be used; the message names file, cause and remedy in one line."""
