"""A connection's AMQP frames as lines of the log, when somebody asks for them.

What always holds: what a frame says of the protocol is shown, what it carries is not. No octet of a message, no
response of a SASL exchange, no property that a peer sets on its connection ever reaches the log: whoever may read the
log need not be trusted with the traffic. A frame whose text is not understood loses all but its name.
"""

from __future__ import annotations

import re
from typing import Final

from cproton import pn_record_def_py, pn_record_get_py, pn_record_set_py, pn_transport_set_pytracer

from skupper_podman.routerd.amqp.wire import Pointer, lib
from skupper_podman.routerd.log import Log

_PERFORMATIVE: Final = re.compile(r"@([a-z-]+)\(\d+\) ")
_SASL_FIELDS: Final = re.compile(
    r"mechanism=:\"?[A-Z0-9-]+|code=0x[0-9a-f]+"
    r"|sasl-server-mechanisms=(?:@<symbol>)?(?:\[[A-Z0-9:,\" -]*\]|:[A-Z0-9-]+)"
)
#: The sender's own octets. Proton escapes quotation marks inside.
_TAG: Final = re.compile(r"delivery-tag=b?\"[^\"]*\"")
_SIZE: Final = re.compile(r"\] \((\d+)\) ")
#: Frames that carry nothing but protocol, if properties are left out.
_PLAIN: Final = frozenset({"open", "begin", "attach", "flow", "disposition", "detach", "end", "close"})


def start(transport: Pointer, log: Log, identity: int, *, always: bool) -> None:
    """Write this connection's frames to the log from now on; `always` even where the level is off."""

    def write(_transport: Pointer, text: str) -> None:
        if always or log.enabled("PROTOCOL", "debug"):
            log.write("PROTOCOL", "debug", f"[C{identity}]:{redacted(text)}", always=always)

    record = lib.pn_transport_attachments(transport)
    if pn_record_get_py(record) is None:
        pn_record_def_py(record)
        pn_record_set_py(record, {})
    pn_transport_set_pytracer(transport, write)
    lib.pn_transport_trace(transport, lib.PN_TRACE_FRM)


def stop(transport: Pointer) -> None:
    """Write no more."""
    lib.pn_transport_trace(transport, lib.PN_TRACE_OFF)


def redacted(text: str) -> str:
    """Proton's text of a frame without what the frame carries."""
    found = _PERFORMATIVE.search(text)
    if found is None:
        # A protocol header or an empty frame; anything else that is quoted may be data.
        return text.partition('"')[0]
    name, before, fields = found[1], text[: found.end()], text[found.end() :]
    if name in _PLAIN:
        shown, cut, _ = fields.partition(", properties=")
        return f"{before}{shown}{']' if cut else ''}"
    if name == "transfer":
        return before + _transfer(fields)
    if name.startswith("sasl-"):
        return f"{before}[{', '.join(_SASL_FIELDS.findall(fields))}]"
    return before.rstrip()


def _transfer(fields: str) -> str:
    """The fields without the delivery tag, and the size of the payload, which begins after the first ``] (``."""
    fields = _TAG.sub("delivery-tag=...", fields, count=1)
    shown, _, _ = fields.partition("] (")
    size = _SIZE.search(fields)
    return f"{shown.removesuffix(']')}] ({size[1]} octets)" if size else f"{shown.removesuffix(']')}]"
