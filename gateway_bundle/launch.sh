#!/bin/sh
# The name that bundles of Skupper 1.9 have; launch.py is what runs.
exec python3 "$(dirname "$0")/launch.py" "$@"
