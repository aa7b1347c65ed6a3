"""What numpy raises for files that are no arrays."""

import tokenize
import zipfile
import zlib

# For an array where an archive is expected and the other way round (TypeError, AttributeError), for
# what is neither, for an archive that is damaged or encrypted, and for a header that is no Python.
BROKEN_ARRAYS = (
    TypeError,
    AttributeError,
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def reason_of(error: Exception) -> str:
    """Return what is wrong with a file of arrays, without a full stop, and without NumPy's advice
    to load objects of Python all the same, which could run code."""
    words = str(error).strip() or type(error).__name__
    if "pickle" in words:
        return "it is none, or it holds objects of Python, which are not read"
    return words.removesuffix(".")
