"""Alerts to mosquitto and nats-server: taken once, refused with a reason, nothing sent later."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from monitor.delivery.bus import BusDestination, Login
from monitor.delivery.http import context
from monitor.delivery.mqtt import MqttBroker
from monitor.delivery.nats import NatsServer as Server
from monitor.schema.messages import DeliveryError
from tests.alerts import alert, message
from tests.certificates import certificate
from tests.e2e.rig.brokers import Listener, Mosquitto, NatsServer, key

PATIENT = 60.0
SECRET = "hunter2"


@asynccontextmanager
async def mqtt(
    broker: Mosquitto,
    login: Login | None = None,
    tls: ssl.SSLContext | None = None,
    client_id: str = "",
) -> AsyncIterator[BusDestination]:
    scheme = "mqtts" if tls is not None else "mqtt"
    url = f"{scheme}://127.0.0.1:{broker.port}"
    made = MqttBroker(url, "alerts/a", login or Login(), client_id, tls or context(None))
    destination = BusDestination(made.connect)
    try:
        yield destination
    finally:
        await destination.close()


@asynccontextmanager
async def jetstream(
    server: NatsServer,
    login: Login | None = None,
    tls: ssl.SSLContext | None = None,
    stream: str | None = None,
) -> AsyncIterator[BusDestination]:
    scheme = "tls" if tls is not None else "nats"
    url = f"{scheme}://127.0.0.1:{server.port}"
    made = Server(url, "alerts.a", stream, login or Login(), tls or context(None))
    destination = BusDestination(made.connect)
    try:
        yield destination
    finally:
        await destination.close()


async def refused(destination: BusDestination) -> str:
    """Why an alert is not taken."""
    with pytest.raises(DeliveryError) as caught:
        async with asyncio.timeout(PATIENT):
            await destination.send(message(alert(1)))
    assert SECRET not in str(caught.value)
    return str(caught.value)


async def test_mqtt_takes_each_message_under_its_id(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        listener = Listener(broker)
        async with mqtt(broker) as destination:
            await asyncio.gather(*(destination.send(message(alert(n))) for n in range(1, 9)))
        came = [listener.next() for _ in range(8)]
        listener.close()
    assert {key(m) for m in came} == {alert(n).idempotency_key for n in range(1, 9)}
    (first,) = (m for m in came if key(m) == alert(1).idempotency_key)
    event = json.loads(first.payload)
    assert (first.topic, first.qos, first.retain) == ("alerts/a", 1, False)
    assert event["id"] == alert(1).idempotency_key
    assert event["data"]["call"] == "c"


async def test_what_an_mqtt_client_could_not_send_is_not_sent_later(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with mqtt(broker) as destination:
            await destination.send(message(alert(1)))
            broker.process.kill()
            for _ in range(3):
                await refused(destination)
            broker.start()
            listener = Listener(broker)
            await destination.send(message(alert(1)))
            await destination.send(message(alert(2)))
        came = [key(listener.next()) for _ in range(2)]
        listener.close()
    assert came == [alert(n).idempotency_key for n in (1, 2)]


async def test_an_mqtt_broker_that_says_nothing_is_left_and_tried_again(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with mqtt(broker) as destination:
            await destination.send(message(alert(1)))
            broker.process.freeze()
            for _ in range(2):
                # The first on the connection that was there, the second on one that never is.
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await destination.send(message(alert(2)))
            broker.process.thaw()
            async with asyncio.timeout(PATIENT):
                await destination.send(message(alert(3)))


async def test_an_mqtt_brokers_refusals_are_failures(tmp_path: Path) -> None:
    users = {"writer": SECRET, "reader": SECRET}
    with Mosquitto(tmp_path, users, writers=["writer"]) as broker:
        async with mqtt(broker) as destination:
            assert "refused: Not authorized" in await refused(destination)
        async with mqtt(broker, Login("writer", "wrong " + SECRET)) as destination:
            assert "refused: Not authorized" in await refused(destination)
        # The broker acknowledges what it throws away: with a reason, which must be read.
        async with mqtt(broker, Login("reader", SECRET)) as destination:
            assert await refused(destination) == "refused: Not authorized"
        async with mqtt(broker, Login("writer", SECRET)) as destination:
            await destination.send(message(alert(1)))


async def test_who_takes_over_an_mqtt_client_id_ends_the_other(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with mqtt(broker, client_id="one") as first, mqtt(broker, client_id="one") as second:
            await first.send(message(alert(1)))
            await second.send(message(alert(2)))
            # Told so or not yet: it is a failure or a new connection, and then it is taken.
            async with asyncio.timeout(PATIENT):
                while True:
                    try:
                        await first.send(message(alert(3)))
                    except DeliveryError:
                        continue
                    break


async def test_mqtt_over_tls_to_whom_it_may_be_told(tmp_path: Path) -> None:
    mine, other = certificate(tmp_path, "127.0.0.1"), certificate(tmp_path, "other.example")
    with Mosquitto(tmp_path / "broker", certificate=mine) as broker:
        async with mqtt(broker, tls=context(str(other))) as destination:
            assert "TLS" in await refused(destination)
        async with mqtt(broker, tls=context(str(mine))) as destination:
            for n in range(1, 4):
                await destination.send(message(alert(n)))
    with Mosquitto(tmp_path / "plain") as plain:
        async with mqtt(plain, tls=context(str(mine))) as destination:
            assert await refused(destination)


async def test_a_stream_stores_each_message_once(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        await server.make_stream("ALERTS", "alerts.>")
        async with jetstream(server) as destination:
            await asyncio.gather(*(destination.send(message(alert(n))) for n in range(1, 9)))
            await destination.send(message(alert(1)))
        async with jetstream(server, stream="ALERTS") as destination:
            await destination.send(message(alert(1)))
        stored = await server.stored("ALERTS")
        async with jetstream(server, stream="OTHER") as destination:
            assert "400" in await refused(destination)
    keys = [headers["Nats-Msg-Id"] for headers, _ in stored]
    assert sorted(keys) == sorted(alert(n).idempotency_key for n in range(1, 9))
    assert all(headers["Nats-Msg-Id"] == event["id"] for headers, event in stored)
    assert {event["data"]["call"] for _, event in stored} == {"c"}


async def test_without_a_stream_nothing_counts_as_taken(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        async with jetstream(server) as destination:
            assert await refused(destination) == "no stream takes the subject"


async def test_what_a_nats_client_could_not_send_is_not_sent_later(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        await server.make_stream("ALERTS", "alerts.>")
        async with jetstream(server) as destination:
            await destination.send(message(alert(1)))
            server.process.kill()
            for n in (2, 3):
                with pytest.raises(DeliveryError):
                    async with asyncio.timeout(PATIENT):
                        await destination.send(message(alert(n)))
            server.start()
            async with asyncio.timeout(PATIENT):
                await destination.send(message(alert(4)))
        stored = [event["data"]["sequence"] for _, event in await server.stored("ALERTS")]
    assert stored == [1, 4]


async def test_a_nats_server_that_says_nothing_stores_it_once(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        await server.make_stream("ALERTS", "alerts.>")
        async with jetstream(server) as destination:
            await destination.send(message(alert(1)))
            server.process.freeze()
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await destination.send(message(alert(2)))
            server.process.thaw()
            async with asyncio.timeout(PATIENT):
                await destination.send(message(alert(2)))
        stored = [event["data"]["sequence"] for _, event in await server.stored("ALERTS")]
    assert stored == [1, 2]


async def test_a_nats_servers_refusals_are_failures(tmp_path: Path) -> None:
    users = (
        f'authorization {{ users: [ {{ user: writer, password: "{SECRET}" }},'
        f' {{ user: reader, password: "{SECRET}", permissions: {{ publish: "nothing" }} }} ] }}\n'
    )
    with NatsServer(tmp_path / "users", users) as server:
        async with jetstream(server) as destination:
            assert "Authorization Violation" in await refused(destination)
        async with jetstream(server, Login("writer", "wrong " + SECRET)) as destination:
            assert "Authorization Violation" in await refused(destination)
        async with jetstream(server, Login("reader", SECRET)) as destination:
            assert "permissions violation for publish" in await refused(destination)
        async with jetstream(server, Login("writer", SECRET)) as destination:
            assert await refused(destination) == "no stream takes the subject"
    with NatsServer(tmp_path / "token", f'authorization {{ token: "{SECRET}" }}\n') as server:
        async with jetstream(server, Login(token=SECRET)) as destination:
            assert await refused(destination) == "no stream takes the subject"


async def test_nats_over_tls_or_not_at_all(tmp_path: Path) -> None:
    mine, other = certificate(tmp_path, "127.0.0.1"), certificate(tmp_path, "other.example")
    tls = f'tls {{ cert_file: "{mine}", key_file: "{mine}" }}\n'
    with NatsServer(tmp_path / "tls", tls) as server:
        async with jetstream(server, tls=context(str(other))) as destination:
            assert "TLS" in await refused(destination)
        async with jetstream(server, tls=context(str(mine))) as destination:
            assert await refused(destination) == "no stream takes the subject"
    with NatsServer(tmp_path / "plain") as server:
        async with jetstream(server, Login("u", SECRET), context(str(mine))) as destination:
            assert await refused(destination) == "the server offers no TLS"


async def test_brokers_that_are_away(tmp_path: Path) -> None:
    server, broker = NatsServer(tmp_path / "nats"), Mosquitto(tmp_path / "mqtt")
    async with jetstream(server) as destination:
        assert await refused(destination) == "ConnectionRefusedError"
    async with mqtt(broker) as destination:
        assert await refused(destination) == "ConnectionRefusedError"
