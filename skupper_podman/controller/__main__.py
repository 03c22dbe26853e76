"""``python -m skupper_podman.controller``."""

from skupper_podman.controller.main import run_and_exit

if __name__ == "__main__":
    run_and_exit()
