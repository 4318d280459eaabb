"""Zoom's own SDK joins the Zoom that our client is tested with: what one takes, the other gets."""

import asyncio
import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.zoom import (
    BOB,
    CLIENT,
    EVE,
    SECRET,
    STREAM,
    UUID,
    audio,
    fake_zoom,
    keep_alive,
    people,
    session_state,
    stream_state,
    until,
    video,
)

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the SDK is made for no other"
)
# Its threads abort a process that ends as usual, and it writes logs/ where it is started.
CLIENT_OF_THE_SDK = """
import json, os, sys
import rtms

said = open(sys.argv[1], "a", buffering=1)
say = lambda *words: said.write(json.dumps(words) + "\\n")
client = rtms.Client()
client.on_join_confirm(lambda reason: say("join", reason))
client.on_audio_data(lambda data, size, at, who: say("audio", size, at, who.userId))
client.on_video_data(lambda data, size, at, who: say("video", size, at, who.userId, who.userName))
client.on_user_update(lambda op, who: say("user", op, who.id, who.name))
client.on_session_update(lambda op, session: say("session", op))
client.on_event_ex(lambda event: say("event", json.loads(event)["event_type"]))
client.on_leave(lambda reason: (say("leave", reason), said.flush(), os._exit(0)))
loop = rtms.EventLoop()
loop.add(client)
client.join(
    meeting_uuid=sys.argv[3], rtms_stream_id=sys.argv[4], server_urls=sys.argv[2],
    client=sys.argv[5], secret=sys.argv[6],
)
loop.run()
"""


async def test_the_vendors_sdk_takes_what_our_client_is_tested_with(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    said = tmp_path / "said"
    said.touch()

    def told() -> list[list[Any]]:
        return [json.loads(line) for line in said.read_text().splitlines() if line.endswith("]")]

    async with fake_zoom() as found:
        arguments = (str(said), found.url, UUID, STREAM, CLIENT, SECRET)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT_OF_THE_SDK, *arguments,
            cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(120):
                await found.ready.wait()
            await until(lambda: ["join", 0] in told() and len(found.media) == 2)
            await found.tell(people(3, (BOB, "Bob"), (EVE, "Eve")))
            await found.tell(session_state(2))
            for index in range(3):
                await found.play(audio(BOB, bytes(640), 1_700_000_000 + index / 50, "Bob"))
            await found.play(video(EVE, b"\xff\xd8 a picture", 1_700_000_001, "Eve"))
            await found.tell(keep_alive(7))
            await found.play(keep_alive(8))
            for state in (3, 4):
                await found.tell(session_state(state))
            for state in (2, 1, 5, 6):
                await found.tell(stream_state(state))
            await found.tell(people(4, (EVE, "Eve")))
            await until(lambda: ["event", 4] in told() and len(found.of(13)) == 2)
            await found.tell(stream_state(4, 6))
            await asyncio.wait_for(process.wait(), 120)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    heard = told()
    assert [x[1:] for x in heard if x[0] == "audio"] == [
        [640, 1_700_000_000_000 + 20 * index, BOB] for index in range(3)
    ]
    assert ["video", 12, 1_700_000_001_000, EVE, "Eve"] in heard
    assert ["user", 0, BOB, "Bob"] in heard
    # It tells of sessions in numbers of its own: begun, paused, resumed.
    assert [x[1] for x in heard if x[0] == "session"] == [1, 3, 4]
    assert heard[-1] == ["leave", 6]
    assert {message["sequence"] for message in found.of(13)} == {7, 8}


async def test_what_our_client_sends_is_what_the_sdk_sends(tmp_path: Path) -> None:
    """But for its own name and its choice of codec, rates and numbers."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "said").touch()
    from monitor.ingest.meetings import rtms_messages as ours

    async with fake_zoom() as found:
        arguments = (str(tmp_path / "said"), found.url, UUID, STREAM, CLIENT, SECRET)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT_OF_THE_SDK, *arguments,
            cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await until(lambda: bool(found.of(5)) and len(found.of(3)) == 2)
        finally:
            process.kill()
            await process.wait()
    proof = ours.Credentials(CLIENT, SECRET)
    stream = ours.Stream(UUID, STREAM, found.url)
    wanted = ours.Wanted(pictures="h264")
    pairs = [
        (found.of(1)[0], ours.signalling_request(proof, stream), {"rtms_client_agent"}),
        (found.of(7)[0], ours.ready(stream), set()),
        (found.of(5)[0], ours.subscribe(), set()),
    ]
    theirs = {next(iter(message["media_params"])): message for message in found.of(3)}
    for kind in ("audio", "video"):
        own = ours.media_request(proof, stream, wanted, kind)
        pairs.append((theirs[kind], own, set()))
        assert (
            json.loads(own)["media_params"][kind].keys()
            == theirs[kind]["media_params"][kind].keys()
        )
        assert json.loads(own)["media_type"] == theirs[kind]["media_type"]
    for sent, text, left_out in pairs:
        own_message = json.loads(text)
        assert sent.keys() - left_out <= own_message.keys()
        for key in ("msg_type", "meeting_uuid", "rtms_stream_id", "signature", "protocol_version"):
            assert sent.get(key) == own_message.get(key), key
    assert sorted(theirs) == ["audio", "video"]
