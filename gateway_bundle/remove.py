#!/bin/sh
''''command -v python3 >/dev/null || { echo "python3 could not be found. Please 'install python3'" >&2; exit 3; }
exec python3 "$0" "$@" # '''
# The lines above make `sh remove.py` the same as `python3 remove.py`, see launch.py.
#
# Takes the gateway of this bundle off this host: its unit or container, and its files. Nothing else is touched.

import os
import sys

if sys.version_info < (3, 6):
    sys.stderr.write("Error: this needs Python 3.6 or later; this is %d.%d\n" % sys.version_info[:2])
    sys.exit(3)

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from installer.commands import remove  # noqa: E402

if __name__ == "__main__":
    sys.exit(remove(os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]))
