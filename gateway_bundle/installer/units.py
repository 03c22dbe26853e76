"""The systemd unit of a gateway: supervised, back after a reboot, and with as few rights as it can work with.

A service of the system runs as a user of its own that systemd makes for it and that owns nothing but the credential. A
service of a user has that user's rights: of the restrictions those are set that a user's manager can enforce.
"""

from typing import Dict, List

from .places import Places

MARK = "# Written by launch.py of gateway bundle "

OOM_SCORE = 500
"""Where memory runs out, the gateway ends before the server that it leads to; it is started again."""

_COMMON = """\
NoNewPrivileges=yes
RestrictAddressFamilies=%s
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
LimitNOFILE=65536
LimitCORE=0
"""
_NETWORK = "AF_INET AF_INET6"

# systemd 247 makes the directories above the state directory, as the service sees them, with the umask of the service:
# it must find a way through them.
_SYSTEM = """\
UMask=0066
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
DevicePolicy=closed
RemoveIPC=yes
"""


def service_unit(
    places: Places, words: List[str], env: Dict[str, str], low_ports: bool, notifies: bool = False
) -> bytes:
    """The unit around a router; with `low_ports` it may listen below 1024.

    One that `notifies` has started when it listens, and is started again if it says nothing for a minute.
    """
    lines = [_head(places)]
    lines += ["Type=notify", "NotifyAccess=main", "WatchdogSec=60"] if notifies else ["Type=simple"]
    lines += ["Environment=" + quoted("%s=%s" % item) for item in sorted(env.items())]
    lines += ["ExecStart=" + " ".join(quoted(word) for word in words)]
    lines += [_again(), "OOMScoreAdjust=%d" % OOM_SCORE, ""]
    if places.system:
        lines += _own_user(places)
        restrictions = _SYSTEM.replace("PrivateUsers=yes\n", "") if low_ports else _SYSTEM
        capabilities = "CAP_NET_BIND_SERVICE" if low_ports else ""
        lines += ["CapabilityBoundingSet=" + capabilities, "AmbientCapabilities=" + capabilities]
        lines += [restrictions.rstrip()]
    common = _COMMON % (_NETWORK + " AF_UNIX" if notifies else _NETWORK)
    lines += [] if places.system else ["UMask=0077"]
    lines += ["MemoryDenyWriteExecute=yes", common.rstrip(), "", _foot(places)]
    return ("\n".join(lines) + "\n").encode()


def container_unit(places: Places, run: List[str], engine: str) -> bytes:
    """The unit around a container of Podman, which reports its start through conmon."""
    start = [engine, "run", "--rm", "--replace", "--detach", "--sdnotify=conmon", "--cgroups=no-conmon"]
    lines = [
        _head(places),
        "Type=notify",
        "NotifyAccess=all",
        "Environment=PODMAN_SYSTEMD_UNIT=%n",
        "ExecStart=%s %s" % (" ".join(start), " ".join(quoted(word) for word in run)),
        "ExecStop=%s stop --ignore --time 10 %s" % (engine, places.name),
        "ExecStopPost=%s rm --force --ignore --time 10 %s" % (engine, places.name),
        "TimeoutStopSec=70",
        _again(),
        "",
        _foot(places),
    ]
    return ("\n".join(lines) + "\n").encode()


def renewal_units(places: Places, words: List[str], seconds: int, own_user: bool) -> Dict[str, bytes]:
    """The unit that renews the credential, and the timer that starts it every so many seconds, by their suffixes.

    With `own_user` the credential belongs to the user that systemd makes for the service.
    """
    lines = [MARK + places.name, "[Unit]", "Description=Renewal of the credential of Skupper gateway %s" % places.name]
    lines += ["", "[Service]", "Type=oneshot", "ExecStart=" + " ".join(quoted(word) for word in words)]
    lines += ["TimeoutStartSec=300", ""]
    if places.system:
        lines += _own_user(places) if own_user else ["ReadWritePaths=" + quoted(places.certificates)]
        lines += ["CapabilityBoundingSet="]
        # A container's files are root's: it stays root, without a capability.
        lines += [(_SYSTEM if own_user else _SYSTEM.replace("PrivateUsers=yes\n", "")).rstrip()]
    else:
        lines += ["UMask=0077"]
    lines += [(_COMMON % _NETWORK).rstrip()]
    timer = [MARK + places.name, "[Unit]"]
    timer += ["Description=When the credential of Skupper gateway %s is looked at" % places.name, "", "[Timer]"]
    timer += ["OnActiveSec=%d" % min(seconds, 120), "OnUnitActiveSec=%d" % seconds]
    timer += ["RandomizedDelaySec=%d" % (seconds // 8), "", "[Install]", "WantedBy=timers.target"]
    return {".service": ("\n".join(lines) + "\n").encode(), ".timer": ("\n".join(timer) + "\n").encode()}


def _own_user(places: Places) -> List[str]:
    """A user for both units, to whom the credential belongs and nothing else on this host."""
    state = "StateDirectory=skupper/%s/%s/skupper-router-certs" % (places.kind, places.name)
    return ["DynamicUser=yes", "User=" + places.user, state, "StateDirectoryMode=0700"]


def _head(places: Places) -> str:
    # In a user's manager there is no network-online.target; the router tries again until the site answers.
    network = "Wants=network-online.target\nAfter=network-online.target\n" if places.system else ""
    return "%s%s\n[Unit]\nDescription=Skupper gateway %s\n%sStartLimitIntervalSec=0\n\n[Service]" % (
        MARK,
        places.name,
        places.name,
        network,
    )


def _again() -> str:
    return "Restart=always\nRestartSec=1"


def _foot(places: Places) -> str:
    return "[Install]\nWantedBy=%s" % ("multi-user.target" if places.system else "default.target")


def quoted(word: str) -> str:
    """A word as systemd reads it back: with blanks, quotes, `%` and `$` as they are."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return '"%s"' % plain if plain != word or " " in word or "'" in word or not word else word
