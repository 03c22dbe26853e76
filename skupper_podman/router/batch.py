"""``python -m skupper_podman.router.batch TIMEOUT REQUESTS``: several management requests by one process.

Entering a container and starting an interpreter costs far more than a request, so the host asks all it wants to know,
or changes all it wants to change, at once. Requests are a JSON array of ``[operation, type, name, attributes]``;
operations are ``query``, ``create``, ``update`` and ``delete``. The answer is ``{"results": [...], "error": TEXT}`` on
standard output: the first request that fails ends the batch, and its reason is the error (empty if all went well).

What always holds: nothing secret is among the arguments; certificates are named by path.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.errors import ManagementError

if TYPE_CHECKING:
    from skupper_podman.router.management import ManagementClient

_STARTING: Final = 0.4
"""Part of the time-out in which a router that is being started may begin to listen."""
_PAUSE: Final = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the batch on the router of this host; gives the exit code, 1 if a request failed."""
    arguments = sys.argv[1:] if argv is None else argv
    results: list[Any] = []
    error = ""
    try:
        timeout, requests = float(arguments[0]), json.loads(arguments[1])
        run(requests, timeout, results)
    except ManagementError as failure:
        error = failure.message
    except (ValueError, IndexError, TypeError) as failure:
        error = f"malformed batch: {failure}"
    json.dump({"results": results, "error": error}, sys.stdout, default=str)
    return 1 if error else 0


def run(requests: Sequence[Sequence[Any]], timeout: float, results: list[Any]) -> None:
    """Do the requests in order and append each one's result.

    Raises:
        ManagementError: one was refused or not answered; those before it are done.
    """
    with connected(timeout) as client:
        for operation, entity_type, name, attributes in requests:
            results.append(_one(client, operation, entity_type, name, attributes))


def connected(timeout: float, url: str = "") -> ManagementClient:
    """A connection to the router of this host, which may have been started just now.

    Raises:
        ManagementError: nothing listens there after a while, or what listens does not answer in time.
    """
    from skupper_podman.router.management import DEFAULT_URL, ManagementClient, RouterUnreachableError

    begun = time.monotonic()
    waited = 0.0
    while True:
        try:
            return ManagementClient(url or DEFAULT_URL, timeout=timeout - waited)
        except RouterUnreachableError:
            waited = time.monotonic() - begun
            if waited > timeout * _STARTING:
                raise
            time.sleep(_PAUSE)


def _one(client: ManagementClient, operation: str, entity_type: str, name: str, attributes: Mapping[str, Any]) -> Any:
    if operation == "query":
        return client.query(entity_type).dicts(without_nulls=True)
    if operation == "create":
        return client.create(entity_type, name, attributes)
    if operation == "update":
        return client.update(entity_type, name, attributes)
    if operation == "delete":
        return client.delete(entity_type, name)
    raise ValueError(f"unknown operation {operation!r}")


if __name__ == "__main__":
    sys.exit(main())
