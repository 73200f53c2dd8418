"""Python's `h2` as a client of `wharf serve`: WebSockets on streams of HTTP/2, and what a peer must not do with them."""

import json
import os
import unittest

from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, SettingsFrame
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from http2_connection import Http2Connection, handshake, ordinary
from wharf_program import LIMIT, Wharf

MEBIBYTE = 1024 * 1024
# What a peer may have the server keep that takes nothing back: the windows of a stream, and its outbox.
LARGEST_BACKLOG = 8 * MEBIBYTE
# More than any buffer between two sockets of this machine, so that who does not read stops who writes.
FLOOD = 64 * MEBIBYTE


class OverTls(unittest.IsolatedAsyncioTestCase):
    # Once TCP or a window is full nothing moves any more, and the server gives the peer up.
    flags = ("--tls-self-signed", "--write-timeout", "1s", "--handshake-timeout", "2s")

    async def asyncSetUp(self):
        self.wharf = await Wharf(*self.flags).start()
        self.opened = []
        self.connection = await self.open()

    async def asyncTearDown(self):
        # Whatever went before, it serves the next one, and stops when it is told to.
        try:
            socket = await (await self.open()).socket("/echo")
            await socket.send(TextMessage("still there?"))
            self.assertEqual(await socket.next(), "still there?")
            self.assertEqual(await socket.close(), (1000, ""))
        finally:
            for connection in self.opened:
                await connection.drop()
            self.assertEqual(await self.wharf.end(), 0)

    async def open(self, settings=None):
        self.opened.append(await Http2Connection.open(self.wharf, settings))
        return self.opened[-1]

    async def counts(self, expected, told=15):
        """Waits until the server counts so many WebSockets, beside the one that asks; it tells one each second."""
        other = await self.open()
        watcher = await other.socket("/live")
        for _ in range(told):
            counted = json.loads(await watcher.next())["connections"] - 1
            if counted == expected:
                break
        self.assertEqual(counted, expected)
        await watcher.close()

    async def test_a_websocket_opens_once_the_settings_allow_it_and_echoes(self):
        self.assertTrue(self.connection.allows_extended_connect())
        socket = await self.connection.socket("/echo")
        self.assertEqual(socket.status, 200)
        for message in ("hello", "", "κόσμε", "x" * 70_000):
            await socket.send(TextMessage(message))
            self.assertEqual(await socket.next(), message)
        await socket.send(BytesMessage(b"\0\xff"))
        self.assertEqual(await socket.next(), b"\0\xff")
        await socket.close()

    async def test_the_server_sees_http_2(self):
        socket = await self.connection.socket("/whoami")
        self.assertEqual(json.loads(await socket.next())["http_version"], "HTTP/2.0")
        await self.connection.until(socket.over)
        self.assertEqual(socket.closed[0], 1000)

    async def test_after_the_closing_handshake_the_server_ends_the_stream(self):
        socket = await self.connection.socket("/echo")
        self.assertEqual(await socket.close(4001, "why not ⚓"), (4001, "why not ⚓"))
        self.assertTrue(socket.ended)
        # A reset without an error may say that the rest of what a client sends is not wanted (RFC 9113 §8.1).
        self.assertIn(socket.reset, (None, ErrorCodes.NO_ERROR))

    async def test_after_the_closing_handshake_a_client_that_leaves_its_half_open_is_counted_no_longer(self):
        # As Firefox does when its page goes, and undici always.
        socket = await self.connection.socket("/echo")
        await socket.send(CloseConnection(code=1001))
        await self.connection.until(socket.over)
        self.assertEqual(socket.closed[0], 1001)
        # A first count may have been made while the stream ended.
        await self.counts(0, told=2)

    async def test_a_mebibyte_comes_back_through_windows_of_a_kibibyte(self):
        narrow = await self.open({SettingCodes.INITIAL_WINDOW_SIZE: 1024})
        socket = await narrow.socket("/echo")
        content = os.urandom(MEBIBYTE)
        # h2 itself holds every frame of the server's against the windows.
        await socket.send(BytesMessage(content))
        self.assertEqual(await socket.next(), content)
        self.assertEqual(await socket.close(), (1000, ""))

    async def test_a_window_of_nothing_holds_messages_back_until_it_opens(self):
        shut = await self.open({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        socket = await shut.socket("/echo")
        await socket.send(TextMessage("patience"))
        # The answer comes on the same connection after all that was sent before it.
        self.assertEqual((await shut.request(ordinary("/nowhere"))).status, 404)
        self.assertEqual(socket.messages, [])
        shut.h2.increment_flow_control_window(1024, socket.id)
        shut.flush()
        self.assertEqual(await socket.next(), "patience")

    async def test_what_a_peer_that_takes_nothing_may_send_is_bounded_and_its_stream_is_given_up(self):
        shut = await self.open({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        socket = await shut.socket("/echo")
        message = socket.frames.send(BytesMessage(b"x" * 65_000))
        sent = await socket.send_bytes(message * (FLOOD // len(message)))
        self.assertLess(sent, LARGEST_BACKLOG)
        self.assertTrue(socket.over())
        await self.counts(0)

    async def test_a_stream_reset_in_the_middle_of_a_message_leaves_the_others_alone(self):
        leaving = await self.connection.socket("/echo")
        staying = await self.connection.socket("/echo")
        frame = leaving.frames.send(BytesMessage(os.urandom(100_000)))
        await leaving.send_bytes(frame[:50_000])
        self.connection.h2.reset_stream(leaving.id, ErrorCodes.CANCEL)
        self.connection.flush()
        await staying.send(TextMessage("still here"))
        self.assertEqual(await staying.next(), "still here")
        await self.counts(1)
        await staying.close()

    async def test_a_stream_that_ends_in_the_middle_of_a_message_is_ended_by_the_server_too(self):
        socket = await self.connection.socket("/echo")
        await socket.send_bytes(socket.frames.send(BytesMessage(b"x" * 1000))[:500])
        self.connection.h2.end_stream(socket.id)
        self.connection.flush()
        await self.connection.until(socket.over)
        self.assertTrue(socket.over())
        await self.counts(0)

    async def test_what_a_websocket_must_not_send_is_told_with_its_code_on_its_stream_alone(self):
        right = await self.connection.socket("/echo")
        for code, sent in (
            # Not masked (RFC 6455 §5.1), not UTF-8 (§8.1), and above the limit.
            (1002, lambda frames: b"\x81\x05hello"),
            (1007, lambda frames: b"\x81\x82\0\0\0\0\xc3\x28"),
            (1009, lambda frames: frames.send(BytesMessage(b"x" * (LIMIT + 1)))),
        ):
            with self.subTest(code=code):
                wrong = await self.connection.socket("/echo")
                await wrong.send_bytes(sent(wrong.frames))
                await self.connection.until(wrong.over)
                self.assertEqual(wrong.closed[0], code)
                await right.send(TextMessage("unharmed"))
                self.assertEqual(await right.next(), "unharmed")
        await right.close()

    async def test_a_ping_is_answered_and_a_message_split_over_many_data_frames_comes_back(self):
        socket = await self.connection.socket("/echo")
        for byte in socket.frames.send(Ping(b"ping")) + socket.frames.send(TextMessage("byte by byte")):
            await socket.send_bytes(bytes([byte]))
        self.assertEqual(await socket.next(), "byte by byte")
        self.assertIn(b"\x8a\x04ping", socket.body)
        await socket.close()

    async def test_a_handshake_without_an_endpoint_is_refused_and_its_connection_goes_on(self):
        self.assertEqual((await self.connection.socket("/nowhere")).status, 404)
        socket = await self.connection.socket("/echo")
        self.assertEqual(socket.status, 200)
        await socket.close()

    async def test_data_beyond_the_servers_window_is_told_as_an_error_of_flow_control(self):
        shut = await self.open({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        socket = await shut.socket("/echo")
        # h2 would not send it: frames of the test's own.
        message = socket.frames.send(BytesMessage(b"x" * 16_000))
        frame = DataFrame(socket.id, data=message).serialize()
        await shut.write(frame * (FLOOD // len(frame)))
        await shut.until(socket.over)
        self.assertEqual(shut.goaway if socket.reset is None else socket.reset, ErrorCodes.FLOW_CONTROL_ERROR)
        await self.counts(0)

    async def test_a_head_whose_continuation_has_no_end_ends_the_connection(self):
        # A literal field that is not indexed (RFC 7541 §6.2.2), so that the head grows and grows.
        field = b"\x00\x01x\x7f\x81\x07" + b"v" * 1024
        begin = HeadersFrame(1, data=self.connection.h2.encoder.encode(ordinary("/").items())).serialize()
        more = ContinuationFrame(1, data=field * 8).serialize()
        await self.connection.write(begin + more * (FLOOD // len(more)))
        await self.ends(self.connection)

    async def test_pings_whose_answers_nobody_reads_end_the_connection(self):
        await self.flood(PingFrame(0, opaque_data=b"12345678").serialize())

    async def test_settings_whose_answers_nobody_reads_end_the_connection(self):
        await self.flood(SettingsFrame(0, settings={SettingCodes.INITIAL_WINDOW_SIZE: 65_535}).serialize())

    async def test_websockets_that_are_opened_and_reset_at_once_do_not_pile_up(self):
        for _ in range(2000):
            identifier = self.connection.h2.get_next_available_stream_id()
            self.connection.h2.send_headers(identifier, [*handshake("/echo").items()])
            self.connection.h2.reset_stream(identifier, ErrorCodes.CANCEL)
        await self.connection.write(self.connection.h2.data_to_send())
        await self.counts(0)

    async def flood(self, frame):
        """A peer that asks and asks, and takes no answer."""
        self.connection.writer.transport.pause_reading()
        chunk = frame * (MEBIBYTE // len(frame))
        for _ in range(FLOOD // MEBIBYTE):
            if self.connection.writer.is_closing():
                break
            await self.connection.write(chunk)
        self.connection.writer.transport.resume_reading()
        await self.ends(self.connection)

    async def ends(self, connection):
        await connection.until(lambda: False)
        self.assertTrue(connection.ended)

    async def test_told_to_stop_the_server_says_1001_on_every_stream_then_goaway_and_ends_with_status_0(self):
        leaving = await Wharf(*self.flags).start()
        connection = await Http2Connection.open(leaving)
        sockets = [await connection.socket(path) for path in ("/echo", "/chat", "/live", "/echo")]
        self.assertEqual(await leaving.end(), 0)
        await self.ends(connection)
        self.assertEqual([socket.closed[0] for socket in sockets], [1001] * 4)
        self.assertEqual(connection.goaway, ErrorCodes.NO_ERROR)


class ByPriorKnowledge(OverTls):
    """The same again without TLS."""

    flags = OverTls.flags[1:]


if __name__ == "__main__":
    unittest.main()
