"""The demo for one user: two named sites on this host, one link, one service called by name from the other's network.

Prints each command as a user would type it. Whatever happens, it deletes both sites, and touches nothing else.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

WEST, EAST = "demo-west", "demo-east"
WEB = "skupper-demo-web"
PAGE = "Hello from site east, over the service network.\n"
_PATIENCE = 60.0
"""Seconds for the first page: the service joins the network of the other site meanwhile."""


class Failed(Exception):  # noqa: N818 - it ends the demo, and that is all
    """A command of the demo failed; carries what it said."""


class Demo:
    """Runs the commands; the first failure ends it."""

    def __init__(self, scratch: Path) -> None:
        self.token = scratch / "west.token"
        self.pages = scratch / "pages"
        self.skupper_program = str(Path(sys.executable).parent / "skupper")
        self.env = {**os.environ, "SKUPPER_PLATFORM": "podman"}

    def say(self, shown: Sequence[str], argv: Sequence[str]) -> str:
        """Show a command as typed, run it, and show what it says."""
        print(f"\n$ {shlex.join(shown)}", flush=True)
        done = self.run(argv)
        print((done.stdout + done.stderr).rstrip(), flush=True)
        if done.returncode:
            raise Failed(f"exit code {done.returncode}")
        return done.stdout

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command and return what it said."""
        return subprocess.run(argv, capture_output=True, text=True, errors="replace", env=self.env, check=False)

    def skupper(self, site: str, *argv: str) -> str:
        """``skupper -n SITE ...``."""
        words = ("-n", site, *argv)
        return self.say(("skupper", *words), (self.skupper_program, *words))

    def check(self) -> None:
        """Refuse to begin where that would touch what is there already.

        Raises:
            Failed: with what to do.
        """
        missing = [name for name in ("podman", "curl") if shutil.which(name) is None]
        if missing:
            raise Failed(f"{' and '.join(missing)} not installed")
        left = [site for site in (WEST, EAST) if self.left(site)]
        if left or self.run(("podman", "container", "exists", WEB)).returncode == 0:
            words = [f"skupper -n {site} delete" for site in left]
            raise Failed(f"an earlier demo left something here: {'; '.join([*words, f'podman rm --force {WEB}'])}")

    def left(self, site: str) -> list[str]:
        """Names of what is there with the label of a site."""
        label = f"label=application=skupper.{site}"
        found = []
        for words in (("ps", "--all", "--format", "{{.Names}}"), ("volume", "ls", "--format", "{{.Name}}"),
                      ("network", "ls", "--format", "{{.Name}}")):  # fmt: skip
            found += self.run(("podman", *words, "--filter", label)).stdout.split()
        return found

    def main_job(self) -> None:
        """The main job, start to end."""
        print(f"Two sites of user {os.environ.get('USER') or os.getuid()} on this host. SKUPPER_PLATFORM=podman")
        self.skupper(WEST, "init")
        self.skupper(EAST, "init", "--ingress", "none")
        self.skupper(WEST, "token", "create", str(self.token))
        self.skupper(EAST, "link", "create", str(self.token))
        self.serve()
        self.skupper(EAST, "expose", "host", WEB, "--address", "backend", "--port", "8080")
        self.skupper(WEST, "service", "create", "backend", "8080")
        self.call()
        for site in (WEST, EAST):
            self.skupper(site, "status")
        self.skupper(EAST, "link", "status", "--wait", "10")
        self.skupper(WEST, "service", "status", "--verbose")
        self.skupper(WEST, "network", "status")

    def container(self, site: str, *options: str) -> tuple[list[str], list[str]]:
        """The words before a command in a container on the site's network: to be shown, and to be run.

        It runs on the image that ``init`` made of this host, so that nothing is downloaded.
        """
        names = self.run(("podman", "images", "--format", "{{.Repository}}:{{.Tag}}")).stdout.split()
        image = next((name for name in names if name.startswith("localhost/skupper-host:")), "IMAGE")
        words = ["podman", "run", *options, "--network", f"skupper.{site}"]
        mounts = ["--volume", "/usr:/usr:ro", "--security-opt", "label=disable"]
        return [*words, "IMAGE"], [*words, *mounts, image]

    def serve(self) -> None:
        """A real HTTP server in a container on east's network; not part of the site."""
        self.pages.mkdir(mode=0o755)
        self.pages.parent.chmod(0o755)
        (self.pages / "index.html").write_text(PAGE, encoding="utf-8")
        shown, words = self.container(EAST, "--detach", "--name", WEB)
        command = ("/usr/bin/python3", "-m", "http.server", "8080", "--directory", "/srv")
        words[2:2] = ["--volume", f"{self.pages}:/srv:ro"]
        self.say([*shown, *command], [*words, *command])

    def call(self) -> None:
        """Fetch the page by the service's name from a container on west's network."""
        shown, words = self.container(WEST, "--rm")
        command = ("/usr/bin/curl", "--silent", "--show-error", "--max-time", "5", "http://backend:8080/")
        print(f"\n$ {shlex.join([*shown, *command])}", flush=True)
        end = time.monotonic() + _PATIENCE
        while (done := self.run([*words, *command])).stdout != PAGE and time.monotonic() < end:
            time.sleep(0.5)
        print((done.stdout + done.stderr).rstrip(), flush=True)
        if done.stdout != PAGE:
            raise Failed("that is not the page of the other site")

    def clean(self) -> None:
        """Delete both sites and prove that nothing of them is left."""
        self.run(("podman", "rm", "--force", "--time", "0", WEB))
        for site in (EAST, WEST):
            self.skupper(site, "delete")
        left = [name for site in (WEST, EAST) for name in self.left(site)]
        print(f"\nleft of the two sites: {', '.join(left) or 'nothing'}", flush=True)
        if left:
            raise Failed("delete left something behind")


def main() -> int:
    """Run the demo. Returns the exit code."""
    argparse.ArgumentParser(prog="scripts/demo --user", description=__doc__).parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="skupper-demo-") as scratch:
        demo = Demo(Path(scratch))
        try:
            demo.check()
            try:
                demo.main_job()
            finally:
                demo.clean()
        except Failed as failure:
            print(f"\nError: the demo stopped here: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    print(f"\nDone in {time.monotonic() - started:.1f} s: two sites of one user, one link, one service, real bytes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
