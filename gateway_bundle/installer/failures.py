"""The failures: each is one line, a way out, and an exit code of its own.

0 done, or nothing to do    1 other      2 wrong usage        3 something is missing on this host
4 the bundle is damaged     5 port taken 6 it does not start  7 no link to the site in time
8 credential has expired    9 the bundle is older than what is installed
"""

USAGE, MISSING, DAMAGED, PORT_TAKEN, NOT_STARTED, NO_LINK, EXPIRED, OLDER = range(2, 10)


class Failure(Exception):
    """Something cannot be done: why, the exit code, and what may help."""

    def __init__(self, code: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
