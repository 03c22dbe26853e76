"""The files a site keeps of a gateway: what it is, and the authority that signs for it.

What always holds: what is written is read back as the same record; a record that is damaged is an error that names it.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Final

from skupper_podman.desired.gatewayfile import dump_gateway, parse_gateway
from skupper_podman.errors import InvalidError
from skupper_podman.model.gateway import GatewayRecord

RECORD_FILE: Final = "gateway.json"
AUTHORITY_CERTIFICATE: Final = "authority/tls.crt"
AUTHORITY_KEY: Final = "authority/tls.key"


def dump_gateway_record(record: GatewayRecord) -> bytes:
    """The record as JSON."""
    document: dict[str, Any] = {
        "version": 1,
        "kind": record.kind,
        "type": record.type,
        "generation": record.generation,
        "created": record.created.isoformat(),
        "expires": record.expires.isoformat(),
        "edge": {"host": record.edge_host, "port": record.edge_port},
        "routerId": record.router_id,
        "services": list(record.services),
        "definition": dump_gateway(record.definition).decode(),
    }
    if record.lifetime is not None:
        document["lifetimeSeconds"] = int(record.lifetime.total_seconds())
    return (json.dumps(document, indent=2) + "\n").encode()


def parse_gateway_record(name: str, content: bytes) -> GatewayRecord:
    """What :func:`dump_gateway_record` wrote for the gateway of this name.

    Raises:
        InvalidError: it is damaged.
    """
    try:
        value = json.loads(content)
        definition = parse_gateway(str(value["definition"])).definition
        if value["version"] != 1 or definition.name != name:
            raise ValueError("another version or name")
        return GatewayRecord(
            definition=definition,
            kind="local" if value["kind"] == "local" else "bundle",
            type=str(value["type"]),
            generation=int(value["generation"]),
            created=datetime.datetime.fromisoformat(str(value["created"])),
            expires=datetime.datetime.fromisoformat(str(value["expires"])),
            edge_host=str(value["edge"]["host"]),
            edge_port=int(value["edge"]["port"]),
            router_id=str(value["routerId"]),
            services=tuple(str(item) for item in value["services"]),
            lifetime=datetime.timedelta(seconds=int(value["lifetimeSeconds"])) if "lifetimeSeconds" in value else None,
        )
    except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidError) as error:
        raise InvalidError(
            f"the record of gateway {name} is damaged: {error}", f"to remove it: skupper gateway delete {name}"
        ) from None
