"""Trustworthy pixel masks for calibrated CCD frames."""

__version__ = "0.1.0"
