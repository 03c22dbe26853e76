"""``python -m skupper_podman.controller``."""

import signal
import sys


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    # The first process of a container is deaf to a signal it has no handler for, also while it is still loading.
    signal.signal(signal.SIGTERM, _end)

    from skupper_podman.controller.main import run_and_exit

    run_and_exit()
