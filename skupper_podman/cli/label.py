"""``service label``: what is written on a service, and changing it."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli.argv import CommandLineError, anything
from skupper_podman.cli.render.tree import Node, draw
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotFoundError

app = new_app()


@dataclass(frozen=True, slots=True)
class Label:
    """``service label`` has no flags of its own."""


@command(
    app,
    "service label",
    Label,
    usage="<service> [labels...]",
    rule=anything,
    changes=True,
    examples="  skupper service label backend\n  skupper service label backend team=a stage-",
)
def label(session: Session, _options: Label, arguments: tuple[str, ...]) -> Result:
    """Manage service labels

    Without labels it shows those of the service; key=value adds one, key- removes one. Nothing restarts.
    """
    if not arguments:
        raise CommandLineError("service name is required")
    address, words = arguments[0], arguments[1:]
    put, remove = parse_labels(words)
    if not words:
        return _shown(address, _labels(session, address))
    plan = session.plan(lambda platform: platform.plan_service_label(address, put, remove))
    action = "labelled" if plan.changed else "unchanged"
    text = f"Labels of service {address} {'changed' if plan.changed else 'are as asked for already'}\n"
    return session.carry_out(plan, Outcome("Service", {"action": action, "address": address}, lambda _facts: text))


def parse_labels(words: tuple[str, ...]) -> tuple[dict[str, str], frozenset[str]]:
    """Labels to put and those to remove.

    Raises:
        CommandLineError: a word is neither ``key=value`` nor ``key-``.
    """
    put: dict[str, str] = {}
    remove: set[str] = set()
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name and value:
            put[name] = value
        elif equals and name:
            raise CommandLineError(f"no value provided to label {name}")
        elif not equals and len(word) > 1 and word.endswith("-"):
            remove.add(word[:-1])
        else:
            raise CommandLineError(f"invalid label [{word}], use key=value or key- (to remove)")
    return put, frozenset(remove)


def _labels(session: Session, address: str) -> dict[str, str]:
    for service in session.platform().services():
        if service.address == address:
            return service.labels
    raise NotFoundError(f"Service {address} not defined", "to see the services: skupper service status")


def _shown(address: str, labels: dict[str, str]) -> Result:
    nodes = tuple(Node(f"{name}={value}") for name, value in sorted(labels.items()))
    tree = draw(Node(address, children=(Node("Labels:", children=nodes),)))
    text = tree if labels else f"{address} has no labels\n"
    return Result("ServiceLabels", text, {"address": address, "labels": {**dict(sorted(labels.items()))}})
