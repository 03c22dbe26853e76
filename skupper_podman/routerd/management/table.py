"""The form in which the entity types of skupper-router 2.7 are written down.

A table has one row an attribute: its name, its kind and, in any order, ``=default``, ``create`` (may be given to
CREATE and in a configuration file), ``update``, ``required``, ``hidden`` (never shown in errors), ``low..high``
(allowed range), ``alias:name`` (deprecated spelling), ``absent:n`` (the number reported where there is no value),
``unlisted`` (known, but only reported when asked for by name),
``undeclared`` (reported, but left out of GET-ATTRIBUTES and of the schema). The kind is a type name or the tags of an
enumeration joined by ``|``. Rows stand in the order in which a QUERY for all attributes reports them. `attributes`
reads these tables; nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONFIGURATION: Final = "configurationEntity"
OPERATIONAL: Final = "operationalEntity"


@dataclass(frozen=True, slots=True)
class Table:
    """One entity type. ``core`` types drop unknown columns of a QUERY, the others refuse them.

    A table that lists ``type`` itself says where in the order it stands; else name, identity and type come last.
    """

    name: str
    description: str
    rows: str
    base: str = OPERATIONAL
    operations: tuple[str, ...] = ()
    singleton: bool = False
    core: bool = False
