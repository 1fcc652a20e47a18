"""The bytes of FITS files: headers, HDUs, images in bands, checksums, tiles."""

from lightmask.fits import records
from lightmask.fits.checksums import write
from lightmask.fits.files import PART, remove, stamp_of, whole_file
from lightmask.fits.hdus import CHUNK, Hdu, Stored, data_size, image_hdu, image_header, read_headers, shape_text
from lightmask.fits.headers import BLOCK, CARD, Header, Value
from lightmask.fits.images import (
    COMPRESSION,
    FITS_BEGINNING,
    NOT_REGULAR,
    Image,
    Pixels,
    bands,
    check_beginning,
    fill,
    find_images,
    labels,
    mask_images,
    opened,
    read,
    read_image,
    read_images,
    read_mask,
    readable,
    unchanged,
)
from lightmask.fits.roles import Roles

__all__ = [
    "BLOCK",
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
    "Roles",
    "Stored",
    "Value",
    "bands",
    "check_beginning",
    "data_size",
    "files",
    "fill",
    "find_images",
    "image_hdu",
    "image_header",
    "labels",
    "mask_images",
    "opened",
    "read",
    "read_headers",
    "read_image",
    "read_images",
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
