"""`python -m skupper_podman.routerd`."""

import signal
import sys


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


# The first process of a container is deaf to a signal it has no handler for: without this one, a router that is told
# to stop while it is still loading would keep Podman waiting for ten seconds.
signal.signal(signal.SIGTERM, _end)

from skupper_podman.routerd.main import main  # noqa: E402

sys.exit(main())
