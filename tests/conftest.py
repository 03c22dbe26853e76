"""Settings for all tests: examples are judged by what they find, never by how long the machine took over them."""

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# In the background of a script, or under nohup, these are ignored, and by every command that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


_LONG = (
    "test_rootless", "test_site_undo", "test_boot_faults", "test_gateway", "test_site_injuries", "test_gateway_hosts",
    "test_site_apply", "test_links", "test_fault_table", "test_faults", "test_service_surface", "test_edge",
)  # fmt: skip
"""Files that take minutes, the longest first: one of them begun last would keep three processes waiting."""
_WITH_HOSTS = ("e2e", "platform", "supervisor", "gateway")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, then others with containers and machines; short tests fill what is left at the end."""

    def order(item: pytest.Item) -> tuple[int, bool]:
        name = item.path.stem
        return _LONG.index(name) if name in _LONG else len(_LONG), item.path.parent.name not in _WITH_HOSTS

    items.sort(key=order)
