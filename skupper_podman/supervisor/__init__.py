"""What the site's systemd unit runs: it keeps the containers of one site running, and says how they are.

Podman restarts a container whose process died, but does not see that a container's monitor (conmon), its DNS server
(aardvark-dns), a port forwarder (rootlessport) or the rootless uplink (slirp4netns, pasta) is gone. The supervisor sees
all of these. :mod:`core` decides (no I/O), :mod:`observe` looks, :mod:`heal` acts, :mod:`loop` ties them together.
"""
