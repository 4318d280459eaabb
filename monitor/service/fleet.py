"""Settings → what runs on the machines of a cluster: the plan that Ray carries to them."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from monitor.calls.call import Call
from monitor.cluster.actors import instance_of
from monitor.cluster.lease import Lease, Standing
from monitor.cluster.seal import Seal, key, name_of
from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.runtime.tasks import begin
from monitor.service.alerting import build_store
from monitor.service.app import Service
from monitor.service.sources import Wanted, open_pull
from monitor.settings import Settings, SettingsError
from monitor.store.sources import SourceRow
from monitor.store.store import Store
from monitor.web.connections import Room
from monitor.web.entrance import Entrance
from monitor.web.server import Server
from monitor.web.tickets import Tickets


def check_cluster(settings: Settings) -> str:
    """Return the cluster's secret; raises SettingsError for what a cluster cannot do with."""
    url = settings.store.url
    if url is None or not url.get_secret_value().startswith("postgresql"):
        raise SettingsError(
            "store.url: a cluster keeps its state in PostgreSQL, which all machines reach; "
            "SQLite is for one"
        )
    if settings.cluster.secret is None:
        raise SettingsError("cluster.secret: missing; at least 32 random characters")
    if not settings.has_token:
        raise SettingsError("server.tokens: none configured, nor MONITOR_TOKEN; nodes are open")
    if settings.oidc is not None:
        raise SettingsError("oidc: a cluster's gateway has no console to log in to")
    for pull in settings.sources:
        if pull.sdp_file is not None:
            raise SettingsError(
                "sources: sdp_file: describes media that is sent to one machine; "
                "give it to that node's own API"
            )
    return settings.cluster.secret.get_secret_value()


def tickets(settings: Settings) -> Tickets:
    """Make what issues and takes tickets; raises SettingsError."""
    return Tickets(key(check_cluster(settings), "tickets"), settings.cluster.ticket_seconds)


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What every machine needs to know; every method is called on the machine itself."""

    settings: Settings

    @classmethod
    def of(cls, settings: Settings) -> "ClusterPlan":
        """Make a plan that can travel; raises SettingsError."""
        check_cluster(settings)
        # A class of its own name, which other machines know, and no environment read there.
        fields = {name: getattr(settings, name) for name in Settings.model_fields}
        return cls(Settings.model_construct(**fields))

    @property
    def lease_seconds(self) -> float:
        """For how long a node may pull without a renewal."""
        return self.settings.cluster.lease_seconds

    def configure(self) -> None:
        """Prepare the process."""
        log.configure(self.settings.log_level)

    def store(self) -> Store:
        """Make the director's store."""
        return build_store(named(self.settings, "director"), Metrics())

    def wanted(self) -> list[SourceRow]:
        """Sources of the settings."""
        seal = Seal(check_cluster(self.settings))
        rows = []
        for pull in self.settings.sources:
            wanted: dict[str, Any] = {
                "uri": pull.uri.get_secret_value(),
                "token": pull.token.get_secret_value() if pull.token is not None else "",
                "tls_ca_file": str(pull.tls_ca_file) if pull.tls_ca_file is not None else None,
                **pull.model_dump(include=_COPIED),
                "persistent": True,
            }
            rows.append(SourceRow(name_of(wanted), seal.close(wanted), epoch=first_epoch()))
        return rows

    @asynccontextmanager
    async def host(self, ray_node: str, ip: str) -> AsyncIterator["MediaHost"]:
        """Run the whole service at an address of this machine."""
        listening = _listen(ip, self.settings.cluster.node_ports)
        port = listening.getsockname()[1]
        settings = self.settings
        update = {
            "server": settings.server.model_copy(update={"host": ip, "port": port}),
            # What it evidences lies where the same node finds it after a restart.
            "state_dir": settings.state_dir / "nodes" / f"{ip}_{port}",
            # The director leases these.
            "sources": (),
        }
        instance = instance_of(ray_node, secrets.token_hex(3))
        settings = named(settings.model_copy(update=update), instance)
        url = settings.cluster.node_url.format(host=ip, port=port)
        standing = Standing(instance, url, f"http://{ip}:{port}")
        service = Service(settings, Entrance(url, instance, tickets(settings)))
        room = Room.beside(settings.limits.calls, settings.server.connections)
        server = Server(service, ip, port, room)
        owner = asyncio.current_task()
        up = False

        def died(error: BaseException) -> None:
            # Without it this node is none: its owner ends, and Ray begins it anew.
            if up and owner is not None:
                owner.cancel()

        serving = begin("server", server.serve([listening]), died)
        try:
            while not server.started:
                if serving.done():
                    await serving
                    raise SettingsError("the service ended while it started")
                await asyncio.sleep(0.05)
            up = True
            yield MediaHost(service, standing, Seal(check_cluster(settings)))
        finally:
            up = False
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)


_COPIED = {
    "participant", "label", "transport", "open_timeout", "read_timeout", "give_up_after",
    "tls_verify",
}  # fmt: skip


class MediaHost:
    """The service of one node, as leases see it."""

    def __init__(self, service: Service, standing: Standing, seal: Seal) -> None:
        self.standing = standing
        self.instance = standing.instance
        self._service = service
        self._registry = service.registry
        self._store = service.alerting.store
        self._seal = seal
        self._pulled: dict[str, Call] = {}

    @property
    def free(self) -> int:
        """Further calls that can be taken."""
        return self._registry.free

    @property
    def calls(self) -> int:
        """In progress."""
        return self._registry.active

    def pull(self, lease: Lease) -> None:
        """Begin to pull a source; raises CapacityError, and ValueError for what names none."""
        wanted = Wanted(**self._seal.open(lease.sealed))
        source = open_pull(self._service.settings, wanted)
        call = self._registry.start(source, wanted.participant, wanted.label, call_id=lease.call)
        self._pulled[lease.call] = call

    async def drop(self, call: str) -> None:
        """End a pulled call; its media ends at once."""
        await self._registry.stop(call)
        self._pulled.pop(call, None)

    def flowing(self, call: str) -> bool:
        """Whether the call's media has arrived."""
        return call in self._pulled and self._pulled[call].media_seen.is_set()

    def over(self, call: str) -> str | None:
        """Why a pulled call ended, in one word; None while it goes on."""
        found = self._pulled.get(call)
        if found is None or found.ended is None:
            return None
        del self._pulled[call]
        return found.ended

    def drain(self, draining: bool) -> None:
        """Take no new call, or again."""
        self._registry.draining = draining

    async def inherit(self, instances: Sequence[str]) -> None:
        """Send what lost nodes still owe; raises StoreError."""
        await self._service.alerting.inherit(instances)

    async def renew(self, epochs: Mapping[str, int]) -> frozenset[str]:
        """Ask the database which leases still hold; raises StoreError."""
        return await self._store.sources.renew(self.instance, epochs)


def first_epoch() -> int:
    """Where a new source's epochs begin: beyond those of one that had its id before."""
    return int(time.time())


def named(settings: Settings, instance: str) -> Settings:
    """The settings of a process with this instance."""
    store = settings.store.model_copy(update={"instance": instance})
    return settings.model_copy(update={"store": store})


def _listen(ip: str, ports: tuple[int, int]) -> socket.socket:
    """A socket at the first free port; raises SettingsError if none is."""
    for port in range(ports[0], ports[1] + 1):
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((ip, port))
        except OSError:
            found.close()
            continue
        return found
    raise SettingsError(f"cluster.node_ports: none of {ports[0]} to {ports[1]} is free at {ip}")
