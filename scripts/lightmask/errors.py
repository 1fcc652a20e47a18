"""Errors that name file, cause and remedy."""

import errno


class FrameError(Exception):
    """A file that cannot be used; the message names file, cause and remedy in one line."""


class MachineError(FrameError):
    """What a file suffered from its machine: a full disk, a missing right, a lack of memory.

    The file is not to blame: nothing is to be remembered of it, and trying again may help.
    """


def needed(package: str, purpose: str, extra: str) -> MachineError:
    """Return the error of a package that is not installed.

    Parameters
    ----------
    package, purpose, extra : str
        Its name, what needs it, and the extra of this package that brings it.
    """
    remedy = f"pip install 'lightmask[{extra}]'"
    return MachineError(f"{package}: found no package of that name, expected it for {purpose}; {remedy}")


_NAMES = (
    *("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ENXIO", "ENODEV"),
    *("EACCES", "EPERM", "EBUSY", "EAGAIN", "EINTR", "ENOLCK"),
    *("ENOMEM", "EMFILE", "ENFILE"),
    *("ESTALE", "ETIMEDOUT", "EREMOTEIO", "ENOTCONN", "ECONNRESET"),
    *("EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
)
OF_THE_MACHINE: frozenset[int] = frozenset(getattr(errno, name) for name in _NAMES if hasattr(errno, name))
"""Errors that no file is to blame for, as far as this operating system has them."""
