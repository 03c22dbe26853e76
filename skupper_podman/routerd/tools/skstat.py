"""skstat: show what a router is doing, as tables on standard output.

Options, columns and wording are those of skupper-router 2.7's tool of this name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.tools import vhosts, views
from skupper_podman.routerd.tools.options import (
    add_connection_options,
    add_target_options,
    new_parser,
    open_client,
    run_tool,
)
from skupper_podman.routerd.tools.render import Table
from skupper_podman.routerd.tools.views import Block, Record, View

if TYPE_CHECKING:
    from skupper_podman.router.management import ManagementClient

_VIEWS: Final = (
    View(("-g", "--general"), "Show general router statistics", views.general),
    View(("-c", "--connections"), "Show connections", views.connections),
    View(("-l", "--links"), "Show router links", views.links),
    View(("-n", "--nodes"), "Show router nodes", views.nodes),
    View(("-e", "--edge"), "Show edge connections", views.edge_connections),
    View(("-a", "--address"), "Show router addresses", views.addresses),
    View(("-m", "--memory"), "Show router memory statistics", views.memory),
    View(("-p", "--policy"), "Show router policy", views.policy),
    View(("--autolinks",), "Show auto links", views.auto_links),
    View(("--vhosts",), "Show vhosts", vhosts.vhosts, headed=False),
    View(("--vhostgroups",), "Show vhost groups", vhosts.vhost_groups, headed=False),
    View(("--vhoststats",), "Show vhost statistics", vhosts.vhost_stats, headed=False),
    View(("--log",), "Show recent log entries", views.log_lines, headed=False),
)
_GENERAL: Final = _VIEWS[0]
_EVERYTHING: Final = (
    *(views.links, views.addresses, views.connections, views.auto_links, views.general, views.memory, views.policy),
    *(vhosts.vhosts, vhosts.vhost_stats),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is 0, 1 on failure or 2 on wrong usage."""
    options = _parser().parse_args(arguments)
    return run_tool("skstat", lambda: _run(options))


def _everything(source: views.Source, verbose: bool) -> list[Block]:
    blocks: list[Block] = []
    for show in _EVERYTHING:
        blocks += [*show(source, verbose), ""]
    return blocks


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("skstat", "Show what a router is doing.")
    group = parser.add_argument_group("Display").add_mutually_exclusive_group()
    all_views = (*_VIEWS, View(("--all-entities",), "Show all router entities", _everything))
    for view in all_views:
        group.add_argument(*view.flags, action="store_const", dest="view", const=view, default=_GENERAL, help=view.help)
    target = parser.add_argument_group("Target").add_mutually_exclusive_group()
    target.add_argument("--all-routers", action="store_true", help="Show entities of all routers in the network")
    add_target_options(target)
    parser.add_argument("--limit", type=int, default=0, help="Largest number of rows; 0, the default, for all")
    parser.add_argument("--csv", action="store_true", help="Print tables as comma-separated values")
    add_connection_options(parser)
    return parser


class _Remote:
    """The entities of one router of the network."""

    def __init__(self, client: ManagementClient, node: str, limit: int) -> None:
        self._client = client
        self._node = node
        self._limit = max(limit, 0)

    def query(self, entity_type: str, attributes: Sequence[str] = ()) -> Sequence[Record]:
        return self._client.query(entity_type, attributes, limit=self._limit, node=self._node).dicts()

    def log(self) -> Sequence[Sequence[Any]]:
        limit = {"limit": self._limit} if self._limit else {}
        lines: Sequence[Sequence[Any]] = self._client.request_node("GET-LOG", limit, node=self._node)
        return lines


def _run(options: argparse.Namespace) -> None:
    view: View = options.view
    with open_client(options) as client:
        addresses = client.management_nodes() if options.all_routers else []
        if len(addresses) < 2:
            source = _Remote(client, "", options.limit)
            if view.headed:
                print(f"{datetime.now(UTC)} UTC\n{source.query(views.ROUTER)[0]['id']}\n")
            _print(view.show(source, bool(options.verbose)), options)
            return
        print(f"{datetime.now(UTC)} UTC")
        for address in addresses:
            # amqp:/_topo/<area>/<id>/$management
            print(f"Router  {address.split('/')[3]}\n")
            source = _Remote(client, address.removeprefix("amqp:/"), options.limit)
            _print(view.show(source, bool(options.verbose)), options)
            print()


def _print(blocks: Sequence[Block], options: argparse.Namespace) -> None:
    for block in blocks:
        if isinstance(block, Table):
            print(block.csv() if options.csv else block.text())
        else:
            print(block)


if __name__ == "__main__":
    sys.exit(main())
