"""What `launch.py`, `remove.py` and `renew.py` do. Python 3.6, standard library only.

    commands.py    the command lines of launch.py and remove.py
    lines.py       what is read and written at the edges: exit codes, one line for each failure
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
    credentials.py which credential is to be installed, and putting it in place
    kept.py        bundles that were launched, for the way back
    former.py      what launch.sh of a 1.9 bundle put here
    situation.py   what a launch finds, and what follows from it; the plan of --dry-run
    install.py     carrying out a launch
    report.py      --status
    removal.py     remove
    certificate.py what a certificate says of its time; would it be let in
    libcrypto.py   new keys and signatures, by the OpenSSL that Python uses
    renewal.py     the next certificate, from the site
    renewing.py    the command line of renew.py
    schedule.py    the timer by which renew.py is called

Files touched: `/var/lib/skupper/bundle/NAME` (and systemd's `/var/lib/private/skupper/bundle/NAME`) and
`NAME.service`, `NAME_renewal.service` and `NAME_renewal.timer` in `/etc/systemd/system` for root; in
`~/.local/share/skupper/bundle/NAME` and `~/.config/systemd/user` for others. Programs run: systemctl, loginctl, podman
or docker, skrouterd.
Nothing is downloaded, but an image where the bundle has none and the gateway is to run in a container.
"""
