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
