"""How much of what other routers say is believed and kept.

Why: every routing message comes from a peer, and a peer may be broken or hostile. What always holds: whatever is sent,
the routing engine keeps at most what these numbers allow, and says once in the log that a bound was met.
"""

from __future__ import annotations

from typing import Final

MAX_ROUTERS: Final = 256
"""Routers in one network, this one included. skupper-router 2.7 stops at 128."""
MAX_EDGES: Final = 16_384
"""Directed links of all link states together: 128 routers linked each to each."""
PATH_COST: Final = 5e-6
"""Seconds without another computation of paths, per origin and directed link of the last: ten times what it took."""
MAX_ADDRESSES: Final = 100_000
"""Addresses kept of one router."""
MAX_ALL_ADDRESSES: Final = 200_000
"""Addresses kept of all routers."""
MAX_KEY: Final = 4096
"""Characters of an address that is announced; a longer one is not believed."""
MAX_KEY_TEXT: Final = 32 * 1024 * 1024
"""Characters of all addresses kept of all routers."""
MAX_NUMBER: Final = 2**63 - 1
"""Greatest number taken from a routing message: what an AMQP long can say on."""
MAX_WARNED: Final = 256
"""Routers about which a line in the log is not repeated; of further ones nothing is said."""
ANSWER_INTERVAL: Final = 0.2
"""Seconds between two complete address updates to the same router: they are long, the request is short."""
MAX_SEGMENTS: Final = 64
"""Segments of an address that patterns look at; what follows counts as one more."""
