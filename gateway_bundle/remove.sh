#!/bin/sh
# The name that bundles of Skupper 1.9 have; remove.py is what runs.
exec python3 "$(dirname "$0")/remove.py" "$@"
