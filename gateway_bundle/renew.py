#!/bin/sh
''''command -v python3 >/dev/null || { echo "python3 could not be found. Please 'install python3'" >&2; exit 3; }
exec python3 "$0" "$@" # '''
# The lines above make `sh renew.py` the same as `python3 renew.py`, see launch.py.
#
# Asks the site for the gateway's next certificate, if it is time for it. A timer of systemd calls the copy of this that
# is installed; where there is no systemd, cron can call the one in the bundle once a day.

import os
import sys

if sys.version_info < (3, 6):
    sys.stderr.write("Error: this needs Python 3.6 or later; this is %d.%d\n" % sys.version_info[:2])
    sys.exit(3)

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from installer.renewing import renew  # noqa: E402

if __name__ == "__main__":
    sys.exit(renew(os.path.dirname(os.path.abspath(__file__)), sys.argv[1:]))
