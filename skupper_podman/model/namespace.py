"""The name of a site among the sites of one user: which names there are, and what they do to the names on the host.

What always holds: the site without a name has the names of 1.9; everything of a named site is called as in 1.9, with a
dot and the site's name at the end. As no site's name has a dot, two sites never share a name, and as each part is a
label of DNS, the names are good wherever those of 1.9 are.
"""

from __future__ import annotations

import re
from typing import Final

from skupper_podman.errors import UsageError

DEFAULT: Final = "default"
"""What the site without a name may be called on a command line."""
VARIABLE: Final = "SKUPPER_NAMESPACE"
"""The environment variable that chooses a site where no flag does."""

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def scoped(plain: str, namespace: str) -> str:
    """What 1.9 calls ``plain``, as the site ``namespace`` (empty: the one without a name) calls it."""
    return f"{plain}.{namespace}" if namespace else plain


def owner(user: str, namespace: str) -> str:
    """Whose site it is, as messages say it."""
    return f"user '{user}'" + (f" in namespace '{namespace}'" if namespace else "")


def check_namespace(name: str, origin: str = "--namespace") -> str:
    """The name of the site as given by a user with ``origin``; empty for the site without one.

    Raises:
        UsageError: it is no label of RFC 1123.
    """
    if not _LABEL.fullmatch(name) and name:
        raise UsageError(
            f"invalid namespace {name!r} ({origin}): it must be at most 63 lower case letters, digits and '-', "
            "and begin and end with a letter or digit",
            "leave it out for the site without a name",
        )
    return "" if name == DEFAULT else name
