"""Mobile addresses: what this router announces, and what others have announced (reference section 3.8).

Why: an address is reachable from everywhere because every router tells every other about its own consumers, by
numbered differences, and gives the whole set to whoever missed one.

What always holds:

* ``announced`` is the set that other routers hold for ``mobile_seq``; changes gather in ``_wanted`` until `tick`.
* The set held for another router is the one it announced with the sequence number held for it, as far as the bounds
  on addresses allow: of what exceeds them the latest is left out. Number 0 stands for a set that was true once and is
  being asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skupper_podman.routerd.core.bodies import AddressUpdate, Descriptor
from skupper_podman.routerd.core.limits import MAX_ADDRESSES, MAX_ALL_ADDRESSES, MAX_KEY_TEXT

RETIRED = 128
"""Routers that are gone whose addresses are kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """An address of another router that came, changed or went (``descriptor.key`` only)."""

    descriptor: Descriptor
    present: bool


@dataclass(slots=True)
class _Remote:
    sequence: int = 0
    requested: bool = False
    addresses: dict[str, Descriptor] = field(default_factory=dict)


class MobileSync:
    """Address announcements of one router, in both directions."""

    def __init__(self, own_id: str) -> None:
        self.own_id = own_id
        self.mobile_seq = 0
        self._wanted: dict[str, Descriptor] = {}
        self._announced: dict[str, Descriptor] = {}
        self._dirty: dict[str, None] = {}
        self._remotes: dict[str, _Remote] = {}
        self._retired: dict[str, tuple[int, _Remote]] = {}
        self.overflow = False
        """An address was left out because of the bounds."""
        self._count = self._text = 0

    # ------------------------------------------------------------------------------------------ own addresses

    def set(self, descriptor: Descriptor) -> None:
        """Announce an address, or announce it anew."""
        self._wanted[descriptor.key] = descriptor
        self._dirty[descriptor.key] = None

    def unset(self, key: str) -> None:
        """Announce an address no longer."""
        self._wanted.pop(key, None)
        self._dirty[key] = None

    def tick(self) -> AddressUpdate | None:
        """The differential update for the changes since the last one, None without changes."""
        add, remove = [], []
        for key in self._dirty:
            wanted, announced = self._wanted.get(key), self._announced.get(key)
            if wanted == announced:
                continue
            if wanted is None:
                remove.append(key)
                del self._announced[key]
            else:
                add.append(wanted)
                self._announced[key] = wanted
        self._dirty.clear()
        if not add and not remove:
            return None
        self.mobile_seq += 1
        return AddressUpdate(self.own_id, self.mobile_seq, add=tuple(add), remove=tuple(remove))

    def absolute(self) -> AddressUpdate:
        """The update that tells everything; what changed since the last tick follows as a difference."""
        return AddressUpdate(self.own_id, self.mobile_seq, exist=tuple(self._announced.values()))

    # ------------------------------------------------------------------------------------------ other routers

    def known_seq(self, router_id: str) -> int:
        """Sequence number up to which a router's addresses are known, 0 for none."""
        remote = self._remotes.get(router_id)
        return remote.sequence if remote else 0

    def addresses(self, router_id: str) -> dict[str, Descriptor]:
        """The addresses held for a router, by key."""
        remote = self._remotes.get(router_id)
        return dict(remote.addresses) if remote else {}

    def receive(self, update: AddressUpdate) -> tuple[list[Change], bool]:
        """Take an update; gives the changes, and True when a request for the whole set is to be sent."""
        remote = self._remotes.setdefault(update.id, _Remote())
        if update.exist is None:
            # Flooding brings the same update over several paths: old ones are no sign of loss.
            if update.mobile_seq <= remote.sequence:
                return [], False
            if update.mobile_seq != remote.sequence + 1:
                ask, remote.requested = not remote.requested, True
                return [], ask
            gone = update.remove
        else:
            if update.mobile_seq < remote.sequence:
                return [], False
            present = {item.key for item in update.exist}
            gone = tuple(key for key in remote.addresses if key not in present)
        remote.sequence = update.mobile_seq
        remote.requested = False
        return self._apply(remote, update.add if update.exist is None else update.exist, gone), False

    def distrust(self, router_id: str) -> None:
        """Ask a router for its whole set again; its addresses stay until the answer comes."""
        remote = self._remotes.get(router_id)
        if remote is not None:
            remote.sequence, remote.requested = 0, False

    def retire(self, router_id: str, instance: int) -> None:
        """A router is not known any more; its addresses are kept for its return."""
        remote = self._remotes.pop(router_id, None)
        if remote is None:
            return
        self._retired[router_id] = (instance, remote)
        if len(self._retired) > RETIRED:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, remote = self._retired.pop(next(iter(self._retired)))
        self._take_away(remote, tuple(remote.addresses))

    def revive(self, router_id: str, instance: int) -> bool:
        """A router has come back; True when it lives on and what it announced is held again, to be confirmed."""
        known, remote = self._retired.pop(router_id, (0, None))
        if remote is None:
            return False
        if known != instance or router_id in self._remotes:
            self._take_away(remote, tuple(remote.addresses))
            return False
        self._remotes[router_id] = remote
        self.distrust(router_id)
        return True

    def flush(self, router_id: str) -> list[Change]:
        """Forget a router; gives the addresses it takes along."""
        remote = self._remotes.pop(router_id, None)
        return [] if remote is None else self._take_away(remote, tuple(remote.addresses))

    def _apply(self, remote: _Remote, added: tuple[Descriptor, ...], gone: tuple[str, ...]) -> list[Change]:
        changes = self._take_away(remote, gone)
        for item in added:
            known = remote.addresses.get(item.key)
            if known == item:
                continue
            if known is None:
                if not self._room(remote, item.key):
                    self.overflow = True
                    continue
                self._count += 1
                self._text += len(item.key)
            remote.addresses[item.key] = item
            changes.append(Change(item, True))
        return changes

    def _room(self, remote: _Remote, key: str) -> bool:
        while self._retired and (self._count >= MAX_ALL_ADDRESSES or self._text + len(key) > MAX_KEY_TEXT):
            self._drop_oldest()
        full = len(remote.addresses) >= MAX_ADDRESSES or self._count >= MAX_ALL_ADDRESSES
        return not full and self._text + len(key) <= MAX_KEY_TEXT

    def _take_away(self, remote: _Remote, keys: tuple[str, ...]) -> list[Change]:
        changes = []
        for key in keys:
            if remote.addresses.pop(key, None) is not None:
                self._count -= 1
                self._text -= len(key)
                changes.append(Change(Descriptor(key), False))
        return changes
