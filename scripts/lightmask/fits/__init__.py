"""The bytes of FITS files: headers, HDUs, images in bands, checksums, tiles."""

from lightmask.fits import records
from lightmask.fits.checksums import write
from lightmask.fits.files import PART, remove, stamp_of, whole_file
from lightmask.fits.hdus import CHUNK, Hdu, Stored, data_size, image_hdu, image_header, read_headers, shape_text
from lightmask.fits.headers import CARD, Header, Value
from lightmask.fits.images import (
    COMPRESSION,
    FITS_BEGINNING,
    NOT_REGULAR,
    Image,
    Pixels,
    bands,
    check_beginning,
    fill,
    find_image,
    opened,
    read,
    read_image,
    read_mask,
    readable,
    unchanged,
)

__all__ = [
    "CARD",
    "CHUNK",
    "COMPRESSION",
    "FITS_BEGINNING",
    "NOT_REGULAR",
    "PART",
    "Hdu",
    "Header",
    "Image",
    "Pixels",
    "Stored",
    "Value",
    "bands",
    "check_beginning",
    "data_size",
    "files",
    "fill",
    "find_image",
    "image_hdu",
    "image_header",
    "opened",
    "read",
    "read_headers",
    "read_image",
    "read_mask",
    "readable",
    "records",
    "remove",
    "shape_text",
    "stamp_of",
    "unchanged",
    "whole_file",
    "write",
]
