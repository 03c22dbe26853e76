"""What commands about the gateway of this host have in common: its name, its record, and changing it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skupper_podman.cli.session import Session, strings
from skupper_podman.errors import ConflictError, NotFoundError
from skupper_podman.model.gateway import GatewayDefinition, GatewayRecord, GatewayRequest, check_gateway_name
from skupper_podman.plan import Plan, Step

if TYPE_CHECKING:
    from skupper_podman.platform import Platform

NAME_HELP: Final = "Name of the gateway (default: of this host and user)"
TYPE_HELP: Final = "The gateway type one of: 'service', 'docker', 'podman'"
TYPES: Final = ("service", "docker", "podman")


def local_request(
    definition: GatewayDefinition,
    kind: str,
    *,
    tls: Mapping[str, bytes] | None = None,
    services: tuple[str, ...] | None = None,
) -> GatewayRequest:
    """The gateway of this host asked for; ``services`` are those made for it, None for those it had."""
    return GatewayRequest(definition, "local", kind, tls=dict(tls or {}), self_contained=True, services=services)


def changing(
    session: Session,
    platform: Platform,
    request: GatewayRequest,
    known: GatewayRecord | None = None,
    warnings: tuple[str, ...] = (),
) -> Plan:
    """A plan that makes the gateway of this host what is asked for; empty if it is ``known`` to be that already.

    Otherwise its last step launches the gateway.

    ``platform`` is the one that other steps of the same command are planned with: it holds the site's lock.
    """
    from skupper_podman.gateway.local import launching

    name = request.definition.name
    same = known is not None and known.definition == request.definition and request.services is None
    if known is not None and same and is_launched(session, known):
        return Plan(f"Gateway {name} is so already", (), {"warnings": list(warnings)})
    made = platform.plan_gateway_bundle(request)
    told = [*warnings, *strings(made.facts.get("warnings"))]
    launch = launching(_place(session, name), made.bundle, request.type, told)
    facts = {key: value for key, value in made.facts.items() if key != "undefined"}  # a binding is made to a service
    return Plan(f"Launch gateway {name}", (*made.steps, launch), {**facts, "warnings": told})


def is_launched(session: Session, record: GatewayRecord) -> bool:
    """Whether the gateway on this host is what was recorded last: who recorded it may have been killed then.

    Not so, either, if keys of it lie about that a command left which was killed; a launch sweeps them.
    """
    from skupper_podman.gateway.local import installed_generation, left_behind

    launched = installed_generation(_place(session, record.name)) == record.generation
    return launched and not left_behind(record.name)


def removal_here(session: Session, name: str) -> Step | None:
    """A step that removes a gateway from this host; None if it is not on it."""
    from skupper_podman.gateway.local import removing

    return removing(_place(session, name))


def deletion(session: Session, platform: Platform, name: str) -> Plan:
    """A plan that revokes a gateway, and removes it from this host and the services that were made for it."""
    revoking = platform.plan_gateway_delete(name)
    record = find(platform, name)
    steps: list[Step] = []
    if record is not None and record.kind == "local" and (own := removal_here(session, name)):
        steps.append(own)
    for service in platform.services():
        if record is not None and service.address in record.services and not service.targets:
            steps += platform.plan_service_delete(service.address).steps
    return replace(revoking, steps=(*steps, *revoking.steps))  # the record, which knows all this, goes last


def _place(session: Session, name: str) -> Path:
    from skupper_podman.gateway.local import directory

    return directory(name, session.world.uid, session.world.env, session.world.home)


def chosen_name(session: Session, given: str) -> str:
    """The name that was given, or that of this host and user.

    Raises:
        UsageError: it is none.
    """
    from skupper_podman.gateway.local import default_name

    if given:
        return check_gateway_name(given)
    world = session.world
    owner = f"{world.user}-{world.namespace}" if world.namespace else world.user
    return default_name(os.uname().nodename, owner)


def find(platform: Platform, name: str) -> GatewayRecord | None:
    """The record of the gateway of that name, None if there is none."""
    return next((record for record in platform.gateways() if record.name == name), None)


def record_of(platform: Platform, name: str) -> GatewayRecord:
    """As :func:`find`.

    Raises:
        NotFoundError: there is none.
    """
    record = find(platform, name)
    if record is None:
        raise NotFoundError(f'No such gateway "{name}"', "to see them: skupper gateway status")
    return record


def local_record(platform: Platform, name: str) -> GatewayRecord:
    """The record of the gateway of that name, which is of this host.

    Raises:
        NotFoundError: there is none. ConflictError: it is a bundle.
    """
    record = find(platform, name)
    if record is None:
        raise NotFoundError(f"there is no gateway {name} on this host", "to make one: skupper gateway init")
    if record.kind != "local":
        raise ConflictError(
            f"gateway {name} is a bundle", "change its definition and generate its next bundle: skupper gateway "
            "generate-bundle"
        )  # fmt: skip
    return record


def check_type(record: GatewayRecord | None, kind: str) -> None:
    """Raise ConflictError if the gateway of this host has another type."""
    if record is not None and record.kind == "local" and record.type != kind:
        raise ConflictError(
            f"gateway previously created as {record.type} type, delete current gateway to change to {kind} type",
            f"skupper gateway delete {record.name}",
        )
