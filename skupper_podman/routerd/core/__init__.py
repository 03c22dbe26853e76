"""What a router decides: pure state machines without I/O, clocks or randomness.

Why: routing is worth testing with several routers in one process, lossy links and simulated hours. Nothing in this
package imports os, socket, subprocess, time, logging or asyncio. Events come in as method calls with ``now`` in
seconds of any steady clock; effects leave as action values that the caller performs (``take_actions``).
"""
