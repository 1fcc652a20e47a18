"""Errors that name file, cause and remedy."""

import errno


class FrameError(Exception):
    """A file that cannot be used; the message names file, cause and remedy in one line."""


class MachineError(FrameError):
    """What a file suffered from its machine: a full disk, a missing right, a lack of memory.

    The file is not to blame: nothing is to be remembered of it, and trying again may help.
    """


OF_THE_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENXIO, errno.ENODEV),
        *(errno.EACCES, errno.EPERM, errno.EBUSY, errno.EAGAIN, errno.EINTR, errno.ENOLCK),
        *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
        *(errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.ENOTCONN, errno.ECONNRESET),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
    }
)
"""Errors of the operating system that no file is to blame for."""
