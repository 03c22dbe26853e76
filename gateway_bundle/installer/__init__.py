"""What `launch.py` and `remove.py` do. Python 3.6, standard library only.

    commands.py    command lines, exit codes, one line for each failure
    failures.py    the failures, each with its exit code and a way out
    bundle.py      the unpacked bundle: its manifest, and that every file is what the manifest says
    places.py      where a gateway's files are on this host
    files.py       writing files so that they are never half there, and taking it back
    state.py       what was installed: state.json, the lock, install.log
    routers.py     which router runs: skrouterd of this host, or the one in the bundle
    rendering.py   the router's configuration with the names of this host filled in
    units.py       the systemd unit
    processes.py   running programs of the host
    systemd.py     systemctl and loginctl
    engines.py     podman and docker
    running.py     one face for a service and a container: start, stop, restart, is it running
    management.py  AMQP to the running router: what it has, changes without a restart
    checks.py      everything that is looked at before something is changed
    install.py     launch: from a bundle and what is there to a plan, and carrying it out
    report.py      --status
    removal.py     remove

Files touched: `/var/lib/skupper/bundle/NAME` (and systemd's `/var/lib/private/skupper/bundle/NAME`) and
`/etc/systemd/system/NAME.service` for root; `~/.local/share/skupper/bundle/NAME` and
`~/.config/systemd/user/NAME.service` for others. Programs run: systemctl, loginctl, podman or docker, skrouterd.
Nothing is downloaded, but an image where the bundle has none and the gateway is to run in a container.
"""
