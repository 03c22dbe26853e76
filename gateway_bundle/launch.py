#!/bin/sh
''''command -v python3 >/dev/null || { echo "python3 could not be found. Please 'install python3'" >&2; exit 3; }
exec python3 "$0" "$@" # '''
# The lines above make `sh launch.py` the same as `python3 launch.py`: to a shell they run Python, to Python they are a
# text that nobody reads.
#
# Puts the gateway of this bundle on this host, updates it, or says how it is. Python 3.6 or later, its standard library
# and nothing else. What is done is in the package `installer` beside this file; its `__init__.py` says which module
# does what, and which files and programs of the host are touched.

import os
import sys

if sys.version_info < (3, 6):
    sys.stderr.write("Error: this needs Python 3.6 or later; this is %d.%d\n" % sys.version_info[:2])
    sys.exit(3)

sys.dont_write_bytecode = True  # the bundle may lie where it must stay as it is
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from installer.commands import launch  # noqa: E402

if __name__ == "__main__":
    sys.exit(launch(os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]))
