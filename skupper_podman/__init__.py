"""skupper-podman: service networks on plain Linux hosts, compatible with Skupper 1.9."""

__version__ = "0.1.0"

SKUPPER_VERSION = "1.9.6"
"""The Skupper release whose formats, names and wire this package reads and writes."""
