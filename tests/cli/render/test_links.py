"""Golden tests of ``link status`` (cli reference 3.2)."""

import datetime

from skupper_podman.cli.render import links as render
from skupper_podman.model.link import IncomingLink, Link, LinkState, LinkStatus

CREATED = datetime.datetime(2022, 11, 17, 15, 2, 1, tzinfo=datetime.UTC)
EAST = IncomingLink("496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0", "east", "east")
HOST = IncomingLink("484cccc3-401c-4c30-a6ed-73382701b18a", "vm1")


def link(name: str, state: LinkState = "connected", reason: str = "", cost: int = 1) -> LinkStatus:
    return LinkStatus(Link(name, "connection-token", "192.0.2.10", "55671", cost, EAST.site_id, CREATED), state, reason)


def test_overview() -> None:
    own = [
        link("link1"),
        link("link2", "not connected", "Failed to redeem claim: No such claim"),
        link("link3", "not connected"),
    ]
    assert render.overview(own, [EAST, HOST]) == (
        "\n"
        "Links created from this site:\n"
        "\n"
        "\t Link link1 is connected\n"
        "\t Link link2 not connected (Failed to redeem claim: No such claim)\n"
        "\t Link link3 not connected\n"
        "\n"
        "Current links from other sites that are connected:\n"
        "\n"
        "\t Incoming link from site 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0 on namespace east\n"
        "\t Incoming link from site 484cccc3-401c-4c30-a6ed-73382701b18a \n"
    )


def test_empty_halves() -> None:
    text = render.overview([], [])
    assert "\t There are no links configured or connected\n" in text
    assert text.endswith("\t There are no connected links\n")


def test_remote_half_is_not_known_yet() -> None:
    assert render.overview([], None).endswith("\t Remote link status pending...\n")
    assert render.overview([], [EAST, IncomingLink("")]).endswith("east\n\t Remote link status pending...\n")


def test_one_line() -> None:
    assert render.line(link("link1")) == "Link link1 is connected"
    assert render.line(link("link1", "not connected")) == "Link link1 not connected"
    assert render.line(link("link1", "not connected", "refused")) == "Link link1 not connected (refused)"
    assert render.line(link("link1", "unknown", "no answer")) == "Link link1 is in an unknown state (no answer)"


def test_details_with_tabs() -> None:
    assert render.details(link("link1", cost=2), "default-0d99d031-cee2-4cc6-a761-697fe0f76275", "default") == (
        "\n"
        " Cost:\t\t2\t\t\t\t\t\t\n"
        " Created:\t2022-11-17 15:02:01 +0000 UTC\t\t\t\n"
        " Name:\t\tlink1\t\t\t\t\t\t\n"
        " Namespace:\tdefault\t\t\t\t\t\t\n"
        " Site:\t\tdefault-0d99d031-cee2-4cc6-a761-697fe0f76275\t\n"
        " Status:\tConnected\n"
    )


def test_details_on_podman_have_no_namespace_and_an_empty_cell_is_filled() -> None:
    status = LinkStatus(Link("l", "connection-token", "h", "1", 1, "p"), "not connected", "no route")
    text = render.details(status, "vm1-484cccc3-401c-4c30-a6ed-73382701b18a")
    assert "Namespace" not in text
    assert text.splitlines()[2] == " Created:\t" + "\t" * 6
    assert text.endswith(" Status:\tNot connected (no route)\n")
