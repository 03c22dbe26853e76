"""``python3 hurt.py SIGNAL MOMENT REPORT PROGRAM WORD...``: run a program of a bundle, and signal it at a moment of it.

The moments are, in order: each change of the file system, before it is made; each program, before it is started and
while it runs (it goes on, whatever becomes of who started it); each change of the running router, before and after it.
REPORT is a file that gets a line for each moment reached. With moment -1 the program runs unhurt. This runs on the
gateway's host, where nothing of the project is installed: Python 3.6, standard library only.
"""

import functools
import os
import re
import runpy
import signal
import subprocess
import sys

CHANGES = ("rename", "unlink", "rmdir", "mkdir", "chmod", "chown", "symlink", "execve")
DULL = re.compile(r"/(bundles|runtime)/[^/ ]+/|/installer/")
"""In the paths of what is inside of kept bundles, unpacked routers, and the program of the renewal."""


class Victim:
    """Counts the moments."""

    def __init__(self, number, moment, report):
        self.number = number
        self.moment = moment
        self.report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self.count = 0

    def reach(self, what):
        """A moment is here; of the files that are copied or removed without any order, some stand for all."""
        if DULL.search(what) and not any(name in what for name in ("manifest.json", "lines.py")):
            return
        os.write(self.report, (f"{what}\n").encode("utf-8", "replace"))
        if self.count == self.moment:
            os.kill(os.getpid(), self.number)
        self.count += 1

    def before(self, function, name):
        """The function, of which each call is a moment."""

        @functools.wraps(function)
        def hurt(*arguments, **named):
            self.reach("{} {}".format(name, " ".join(map(str, arguments[:2]))))
            return function(*arguments, **named)

        return hurt


def main():
    """Run it."""
    victim = Victim(getattr(signal, sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    program = sys.argv[4]
    sys.argv = sys.argv[4:]
    for name in CHANGES:
        setattr(os, name, victim.before(getattr(os, name), name))
    plain_open = os.open

    def opening(path, flags, *rest, **named):
        if flags & os.O_CREAT:
            victim.reach(f"open {path}")
        return plain_open(path, flags, *rest, **named)

    os.open = opening
    start, communicate = subprocess.Popen.__init__, subprocess.Popen.communicate

    def starting(self, words, *rest, **named):
        self.shown = " ".join(words)[:150]
        victim.reach(f"start {self.shown}")
        start(self, words, *rest, **named)

    def communicating(self, *rest, **named):
        victim.reach(f"while {self.shown}")
        return communicate(self, *rest, **named)

    subprocess.Popen.__init__, subprocess.Popen.communicate = starting, communicating
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
    from installer.management import Management

    def twice(function, name):
        first = victim.before(function, f"before {name}")

        def hurt(self, *arguments):
            first(self, *arguments)
            victim.reach("after {} {}".format(name, " ".join(map(str, arguments))[:150]))

        return hurt

    Management.create = twice(Management.create, "create")
    Management.delete = twice(Management.delete, "delete")
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
