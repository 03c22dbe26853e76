"""The help texts, laid out as in 1.9 (cli reference 1.6)."""

import pytest

from skupper_podman.cli import app, catalog
from tests.cli.terminal import Terminal

LINK_CREATE = """\
Links this skupper site to the site that issued the token

Before anything is changed the token is checked, in this order: its fields, expiry, that it is another site's, that
there is no link to that site, DNS, TCP, TLS; then a claim is redeemed. A router that cannot be reached now is only
a warning: the link is made when it can.

Usage:
  skupper link create <input-token-file> [flags]

Flags:
      --cost int32      Specify a cost for this link. (default 1)
      --dry-run         Print the plan and change nothing
  -h, --help            help for create
      --name string     Provide a specific name for the link (used when deleting it)
  -o, --output string   Output format: text, json, yaml (default "text")
      --replace         Put this link in the place of the one to the same site, if there is one

Global Flags:
  -n, --namespace string   Site to use, if this user has several on this host (default: the one without a name)
      --platform string    The platform type to use [kubernetes, podman]
"""

ROOT = """\
Usage:
  skupper [command]

Available Commands:
  apply         Make the site, its services and links what a file says
  certificate   Manage the certificates of the site
  completion    Output shell completion code for bash, zsh or fish
  debug         Debug skupper installation
  delete        Delete skupper installation
  doctor        Check the host and the site, and say what mends what is broken
  export        Write the site, its services and links for apply
  expose        Expose one or more network services
  gateway       Manage skupper gateway definitions
  generate      Print files made of the site
  help          Help about any command
  init          Initialise skupper installation
  link          Manage skupper links definitions
  network       Show information about the sites and services included in the network.
  revoke-access Revoke all previously granted access to the site.
  service       Manage skupper service definitions
  status        Report the status of the current Skupper site
  switch        Select the platform to manage (valid platforms: kubernetes, podman, -)
  token         Manage skupper tokens
  unexpose      Unexpose one or more network services
  update        Update skupper installation version
  version       Report the version of the Skupper CLI and services

Flags:
  -h, --help               help for skupper
  -n, --namespace string   Site to use, if this user has several on this host (default: the one without a name)
      --platform string    The platform type to use [kubernetes, podman]

Use "skupper [command] --help" for more information about a command.
"""


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_root(skupper: Terminal, words: list[str]) -> None:
    answer = skupper(*words)
    assert (answer.code, answer.out, answer.err) == (0, ROOT, "")


def test_root_on_kubernetes_says_what_works(skupper: Terminal) -> None:
    answer = skupper("--platform", "kubernetes", "--help")
    assert answer.out.startswith(ROOT)
    assert "kubernetes, which has no backend in this release" in answer.out


@pytest.mark.parametrize("words", [["link", "create", "-h"], ["help", "link", "create"], ["--help", "link", "create"]])
def test_leaf(skupper: Terminal, words: list[str]) -> None:
    answer = skupper(*words)
    assert (answer.code, answer.out) == (0, LINK_CREATE)


@pytest.mark.parametrize("words", [["link"], ["link", "--help"], ["help", "link"]])
def test_group(skupper: Terminal, words: list[str]) -> None:
    answer = skupper(*words)
    assert answer.code == 0
    assert answer.out == (
        "Manage skupper links definitions\n"
        "\n"
        "Usage:\n"
        "  skupper link [command]\n"
        "\n"
        "Available Commands:\n"
        "  create      Links this skupper site to the site that issued the token\n"
        "  delete      Remove specified link\n"
        "  status      Check whether a link to another Skupper site is active\n"
        "  update      Change the cost of a link\n"
        "\n"
        "Flags:\n"
        "  -h, --help   help for link\n"
        "\n"
        "Global Flags:\n"
        "  -n, --namespace string   Site to use, if this user has several on this host "
        "(default: the one without a name)\n"
        "      --platform string    The platform type to use [kubernetes, podman]\n"
        "\n"
        'Use "skupper link [command] --help" for more information about a command.\n'
    )


def test_unknown_topic(skupper: Terminal) -> None:
    answer = skupper("help", "nope")
    assert answer.code == 2
    assert answer.err.startswith('Error: unknown command "nope" for "skupper"\n')


def test_defaults_are_shown_as_in_go(skupper: Terminal) -> None:
    text = skupper("init", "--help").out
    assert "--timeout duration                 Time limit for the site to become ready (default 2m0s)" in text
    assert '(default "interior")' in text
    assert "(default 55671)" in text
    assert "--label stringToString" in skupper("expose", "--help").out
    assert "(default [])" in skupper("expose", "--help").out


def test_flags_of_init_come_as_declared_and_others_by_name(skupper: Terminal) -> None:
    init = skupper("init", "--help").out
    init = init.partition("\nFlags:\n")[2]
    assert init.index("--site-name") < init.index("--ingress ") < init.index("--bind-port ") < init.index("--help")
    for path, (module, _short) in catalog.COMMANDS.items():
        if module and path not in ("init", "help"):
            names = [flag.name for flag in app.load(path).declared.flags]
            assert names == sorted(names), path


def test_refused_flags_are_not_offered(skupper: Terminal) -> None:
    assert "console" not in skupper("init", "--help").out


def test_help_works_on_any_platform(skupper: Terminal) -> None:
    assert skupper("--platform", "kubernetes", "status", "--help").code == 0
