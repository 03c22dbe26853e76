"""The demo: two hosts, two sites, one link, one service called by name. Prints each command as a user would type it."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.lab import CommandFailed, Host, Lab, missing_requirements

KEPT = Path("/run/skupper-demo-kept")
"""Names the directory of the lab that ``--keep`` left up."""

PAGE = "Hello from host east, over the service network.\n"


class Demo:
    """Runs the commands of the demo on two hosts; the first failure ends it."""

    def __init__(self, west: Host, east: Host, scratch: Path) -> None:
        self.west = west
        self.east = east
        self.token = scratch / "west.token"
        self.pages = scratch / "pages"

    def show(self, host: Host, command: str) -> None:
        """Print a command line as typed on ``host``."""
        print(f"\n{host.name}$ {command}", flush=True)

    def skupper(self, host: Host, *argv: str) -> str:
        """Run and show a ``skupper`` command."""
        self.show(host, " ".join(("skupper", *argv)))
        result = host.skupper(*argv)
        print((result.stdout + result.stderr).rstrip(), flush=True)
        return result.stdout

    def run(self) -> None:
        """The main job, start to end."""
        west, east = self.west, self.east
        print(f"Two hosts: west {west.address}, east {east.address}. On both: export SKUPPER_PLATFORM=podman")
        self.skupper(west, "init", "--site-name", "west", "--ingress-host", west.address)
        self.skupper(east, "init", "--site-name", "east", "--ingress", "none")
        self.skupper(west, "token", "create", str(self.token))
        self.skupper(east, "link", "create", str(self.token))
        self.serve(east)
        self.skupper(east, "expose", "host", "web", "--address", "backend", "--port", "8080")
        self.skupper(west, "service", "create", "backend", "8080")
        self.call(west)
        for host in (west, east):
            self.skupper(host, "status")
        self.skupper(east, "link", "status", "--wait", "10")
        self.skupper(west, "service", "status", "--verbose")
        self.skupper(west, "network", "status")

    def serve(self, host: Host) -> None:
        """A real HTTP server in a container on the host's skupper network; not part of the site."""
        self.pages.mkdir()
        (self.pages / "index.html").write_text(PAGE, encoding="utf-8")
        self.show(host, "podman run --detach --name web --network skupper IMAGE python3 -m http.server 8080")
        host.run_container(
            "web", "skupper", "python3", "-m", "http.server", "8080", "--directory", "/srv",
            options=("--volume", f"{self.pages}:/srv:ro"),
        )  # fmt: skip

    def call(self, host: Host) -> None:
        """Fetch the page by the service's name, as any container of the host would."""
        self.show(host, "podman run --rm --network skupper IMAGE curl --silent http://backend:8080/")
        end = time.monotonic() + 20
        while True:
            result = host.in_network(
                "skupper", "curl", "--silent", "--show-error", "--max-time", "5", "http://backend:8080/", check=False
            )
            if result.stdout == PAGE or time.monotonic() > end:
                break
            time.sleep(0.2)
        print((result.stdout + result.stderr).rstrip(), flush=True)
        if result.stdout != PAGE:
            raise CommandFailed(host.name, result)

    def clean(self) -> None:
        """Delete both sites and prove that nothing labelled is left."""
        for host in (self.west, self.east):
            if host is self.east:
                host.podman("rm", "--force", "--time", "0", "web")
            self.skupper(host, "delete")
        leftovers = {host.name: host.labelled() for host in (self.west, self.east)}
        for name, found in leftovers.items():
            print(f"left on {name} with label application=skupper: {', '.join(found) or 'nothing'}")
        if any(leftovers.values()):
            raise SystemExit("Error: delete left something behind")


def main() -> int:
    """Parse arguments, make the hosts, run the demo. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="leave the two hosts and their sites up, and say how to enter them"
    )
    parser.add_argument("--remove", action="store_true", help="only remove the hosts an earlier --keep left up")
    arguments = parser.parse_args()
    reason = missing_requirements()
    if reason:
        print(f"Error: {reason}", file=sys.stderr)
        return 1
    remove_kept()
    if arguments.remove:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with Lab("west", "east") as lab, tempfile.TemporaryDirectory(prefix="skupper-demo-") as scratch:
        demo = Demo(*lab.hosts, lab.directory if arguments.keep else Path(scratch))
        try:
            demo.run()
            if arguments.keep:
                keep(lab)
                return 0
            demo.clean()
        except CommandFailed as error:
            print(f"\nError: the demo stopped here\n{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    print(f"\nDone in {time.monotonic() - started:.1f} s: two sites, one link, one service, real bytes, nothing left.")
    return 0


def keep(lab: Lab) -> None:
    """Leave the hosts up and say how to enter them."""
    lab.keep()
    KEPT.write_text(str(lab.directory), encoding="utf-8")
    print("\nThe two hosts stay up. Enter them with:")
    for host in lab.hosts:
        print(f"\n  # {host.name}\n  {host.enter_command()}")
    print("\nRemove them with: scripts/demo --remove")


def remove_kept() -> None:
    """Remove the hosts that an earlier ``--keep`` left up."""
    if KEPT.exists():
        directory = Path(KEPT.read_text(encoding="utf-8"))
        if (directory / "lab.json").exists():
            Lab.load(directory).close()
        KEPT.unlink()


if __name__ == "__main__":
    sys.exit(main())
