"""The ``caat`` command; on Windows one line, before anything is loaded that cannot be there.

Each of its commands that has much to say has a file here.
"""

import os
import sys

_ON_WINDOWS = (
    "caat: Windows is not supported (runs are guarded by locks and signals that it lacks); "
    "use WSL 2, Linux or macOS\n"
)

if os.name == "nt":
    sys.stderr.write(_ON_WINDOWS)
    sys.exit(2)
