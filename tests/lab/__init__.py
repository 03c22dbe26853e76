"""Several hosts on one machine: network namespaces, a private mount namespace and a Podman service each.

Used by the end-to-end tests, the demo and the benchmarks. Needs root. What always holds: nothing of a lab outlives
:meth:`Lab.close`, and no file outside the lab's own directory is written.
"""

from tests.lab.host import CommandFailed, Completed, Host
from tests.lab.lab import Lab, missing_requirements

__all__ = ["CommandFailed", "Completed", "Host", "Lab", "missing_requirements"]
