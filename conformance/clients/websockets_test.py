"""Python's `websockets` as a client of `wharf serve`."""

import asyncio
import itertools
import os
import unittest

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from wharf_program import LIMIT, Wharf

# The lengths at which the form of a frame's header changes, and one that the server sends back in fragments.
LENGTHS = (0, 1, 125, 126, 65_535, 65_536, 1 << 20)


class Websockets(unittest.IsolatedAsyncioTestCase):
    flags = ()

    async def asyncSetUp(self):
        self.wharf = await Wharf(*self.flags).start()
        self.echo = f"{self.wharf.url}/echo"

    async def asyncTearDown(self):
        await self.wharf.end()

    def client(self, url, **options):
        # It must not go through a proxy of the machine's.
        return connect(url, max_size=None, proxy=None, ssl=self.wharf.tls, **options)

    async def test_texts_come_back_as_texts_in_order(self):
        texts = ["", "hello", "κόσμε", "😀 \U0010ffff", "x" * 70_000, "last"]
        async with self.client(self.echo) as socket:
            for text in texts:
                await socket.send(text)
            self.assertEqual([await socket.recv() for _ in texts], texts)

    async def test_compressed_messages_come_back_whatever_takeover_and_windows_are_agreed_on(self):
        json = "".join(f'{{"id":{number},"name":"user {number * 7919 % 1000}"}},' for number in range(200))
        messages = ["", json, json, json * 12, os.urandom(5000), json]
        for server, client_, bits in itertools.product((False, True), (False, True), (None, 9, 12, 15)):
            offer = ClientPerMessageDeflateFactory(
                server_no_context_takeover=server,
                client_no_context_takeover=client_,
                server_max_window_bits=bits,
                client_max_window_bits=bits or True,
                compress_settings={"memLevel": 5},
            )
            with self.subTest(server=server, client=client_, bits=bits):
                async with self.client(self.echo, extensions=[offer]) as socket:
                    self.assertIn("permessage-deflate", socket.response.headers["Sec-WebSocket-Extensions"])
                    for message in messages:
                        await socket.send(message)
                        self.assertEqual(await socket.recv(), message)

    async def test_bytes_come_back_as_they_were(self):
        async with self.client(self.echo) as socket:
            for length in LENGTHS:
                content = os.urandom(length)
                await socket.send(content)
                self.assertEqual(await socket.recv(), content)

    async def test_a_message_in_fragments_comes_back_whole(self):
        async with self.client(self.echo) as socket:
            await socket.send(["frag", "", "ment", "ed €"])
            self.assertEqual(await socket.recv(), "fragmented €")

    async def test_the_servers_fragments_have_its_threshold(self):
        async with self.client(self.echo, compression=None) as socket:
            await socket.send(b"x" * 40_000)
            lengths = [len(fragment) async for fragment in socket.recv_streaming()]
            self.assertEqual(lengths, [16_384, 16_384, 7_232])

    async def test_a_ping_is_answered_with_its_payload(self):
        async with self.client(self.echo) as socket:
            # Resolves only with a pong that has this payload.
            self.assertGreaterEqual(await asyncio.wait_for(await socket.ping(b"are you there?"), 10), 0)

    async def test_a_close_is_answered_with_its_code_and_reason(self):
        async with self.client(self.echo) as socket:
            await socket.close(4001, "why not ⚓")
            self.assertEqual((socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason), (4001, "why not ⚓"))

    async def test_a_message_above_the_limit_is_told_with_1009(self):
        async with self.client(self.echo) as socket:
            with self.assertRaises(ConnectionClosed) as closed:
                await socket.send(b"x" * (LIMIT + 1))
                await socket.recv()
            self.assertEqual(closed.exception.rcvd.code, 1009)

    async def test_64_connections_at_once_get_200_messages_each_in_order(self):
        async def talk(number):
            async with self.client(self.echo) as socket:
                messages = [f"{number}:{i}" for i in range(200)]
                for message in messages:
                    await socket.send(message)
                self.assertEqual([await socket.recv() for _ in messages], messages)

        await asyncio.gather(*(talk(number) for number in range(64)))

    async def test_a_path_without_an_endpoint_is_refused_with_404(self):
        with self.assertRaises(InvalidStatus) as refused:
            await self.client(f"{self.wharf.url}/nowhere")
        self.assertEqual(refused.exception.response.status_code, 404)

    async def test_of_the_subprotocols_that_are_asked_for_the_first_is_spoken(self):
        async with self.client(self.echo, subprotocols=["chat", "superchat"]) as socket:
            self.assertEqual(socket.subprotocol, "chat")
            await socket.send("hello")
            self.assertEqual(await socket.recv(), "hello")

    async def test_an_origin_does_no_harm(self):
        async with self.client(self.echo, origin="https://example.com") as socket:
            await socket.send("hello")
            self.assertEqual(await socket.recv(), "hello")

    async def test_told_to_stop_the_server_says_1001_and_ends_with_status_0(self):
        async with self.client(self.echo) as socket, self.client(f"{self.wharf.url}/chat") as other:
            self.assertEqual(await self.wharf.end(), 0)
            for closing in (socket, other):
                await closing.wait_closed()
                self.assertEqual(closing.protocol.close_rcvd.code, 1001)


class WebsocketsOverTls(Websockets):
    """The same again."""

    flags = ("--tls-self-signed",)


if __name__ == "__main__":
    unittest.main()
