"""The router's configuration: the bundle's template with the names of this host filled in."""

import json
import re
from typing import Any, Dict, List, Tuple

from .failures import DAMAGED, Failure

_PLACE = re.compile(r"\$\{(\w+)\}")
BRIDGES = ("tcpConnector", "tcpListener", "httpConnector", "httpListener")
Config = List[Tuple[str, Dict[str, Any]]]


def render(template: str, values: Dict[str, str]) -> Config:
    """The entities; raises Failure for a placeholder that has no value."""

    def fill(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        unknown = [name for name in _PLACE.findall(value) if name not in values]
        if unknown:
            raise Failure(DAMAGED, "the configuration asks for ${%s}, which nobody knows" % unknown[0])
        return _PLACE.sub(lambda match: values[match.group(1)], value)

    try:
        pairs = json.loads(template)
        if not isinstance(pairs, list):
            raise ValueError("it is no list")
        return [(str(kind), {key: fill(item) for key, item in attributes.items()}) for kind, attributes in pairs]
    except (ValueError, AttributeError, TypeError) as error:
        raise Failure(DAMAGED, "config/skrouterd.json is malformed: %s" % error) from error


def dump(config: Config) -> bytes:
    """The configuration as a file."""
    return (json.dumps([[kind, attributes] for kind, attributes in config], indent=4) + "\n").encode()


def parse(content: bytes) -> Config:
    """What :func:`dump` wrote."""
    return [(str(kind), dict(attributes)) for kind, attributes in json.loads(content.decode())]


def with_ports(config: Config, ports: Dict[str, int]) -> Config:
    """With these listeners' ports changed, by their names."""
    changed = []
    for kind, attributes in config:
        if kind in ("tcpListener", "httpListener") and attributes["name"] in ports:
            attributes = dict(attributes, port=str(ports[attributes["name"]]))
        changed.append((kind, attributes))
    return changed


def difference(old: Config, new: Config) -> Tuple[Config, Config, List[str]]:
    """What to delete from and create in a running router, in order; and what cannot change without a restart."""
    before, after = ({(kind, item.get("name", "")): item for kind, item in config} for config in (old, new))
    gone, added, fixed = [], [], []
    for key in sorted(set(before) | set(after)):
        if before.get(key) == after.get(key):
            continue
        if key[0] in BRIDGES or key[0] == "sslProfile" or key == ("connector", "conn1"):
            gone += [(key[0], before[key])] if key in before else []
            added += [(key[0], after[key])] if key in after else []
        else:
            fixed.append("%s %s" % key if key[1] else key[0])
    # What uses a profile goes before it and comes after it.
    gone.sort(key=lambda pair: pair[0] == "sslProfile")
    added.sort(key=lambda pair: pair[0] != "sslProfile")
    return gone, added, fixed
