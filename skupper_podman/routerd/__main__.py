"""`python -m skupper_podman.routerd`."""

import sys

from skupper_podman.routerd.main import main

sys.exit(main())
