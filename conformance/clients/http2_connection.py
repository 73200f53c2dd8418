"""HTTP/2 by the package `h2`, and WebSockets on its streams (RFC 8441) with the frames of `wsproto`."""

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, SettingsAcknowledged, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings
from wsproto import ConnectionType
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping

# Seconds, longer than any deadline of the server's: what has not come by then never comes.
PATIENCE = 15


class Http2Connection:
    """A connection to the program, over TLS if that is what it speaks."""

    @classmethod
    async def open(cls, wharf, settings=None):
        """Resolves once both ends have the other's settings."""
        connection = cls()
        if wharf.tls:
            wharf.tls.set_alpn_protocols(["h2"])
        connection.reader, connection.writer = await asyncio.open_connection("127.0.0.1", wharf.port, ssl=wharf.tls)
        connection.h2 = Protocol(H2Configuration(client_side=True, header_encoding="utf-8"))
        # What the preface says holds from the first byte on.
        connection.h2.local_settings = Settings(client=True, initial_values=settings)
        connection.h2.initiate_connection()
        connection.streams = {}
        connection.moved = asyncio.Condition()
        connection.settled = False
        connection.goaway = None
        connection.ended = False
        connection.writer.write(connection.h2.data_to_send())
        connection.reading = asyncio.create_task(connection.read())
        await connection.until(lambda: connection.settled)
        return connection

    async def read(self):
        try:
            while data := await self.reader.read(65_536):
                for event in self.h2.receive_data(data):
                    self.happened(event)
                self.flush()
                await self.tell()
        except ConnectionError:
            pass
        finally:
            self.ended = True
            await self.tell()

    def happened(self, event):
        if isinstance(event, SettingsAcknowledged):
            self.settled = True
        elif isinstance(event, ConnectionTerminated):
            self.goaway = event.error_code
        elif stream := self.streams.get(getattr(event, "stream_id", None)):
            stream.happened(event)

    async def tell(self):
        async with self.moved:
            self.moved.notify_all()

    async def until(self, reached):
        """Waits for what only the peer can bring about, or for the end of the connection."""
        async with asyncio.timeout(PATIENCE), self.moved:
            await self.moved.wait_for(lambda: reached() or self.ended)
        if self.reading.done():
            # What the server must not send is an error of the reader's.
            self.reading.result()

    def flush(self):
        if not self.writer.is_closing():
            self.writer.write(self.h2.data_to_send())

    async def write(self, data):
        """Bytes of the test's own; ends quietly where the server has ended the connection."""
        try:
            self.writer.write(data)
            async with asyncio.timeout(PATIENCE):
                await self.writer.drain()
        except ConnectionError:
            pass

    def allows_extended_connect(self):
        return self.h2.remote_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1

    async def request(self, fields, end_stream=True):
        stream = Stream(self, self.h2.get_next_available_stream_id(), is_socket=":protocol" in fields)
        self.streams[stream.id] = stream
        self.h2.send_headers(stream.id, [*fields.items()], end_stream=end_stream)
        self.flush()
        await self.until(lambda: stream.headers is not None or stream.reset is not None)
        return stream

    async def socket(self, path, **fields):
        """An opening handshake; what comes back has the status of its answer, whatever that is."""
        return await self.request({**handshake(path), **fields}, end_stream=False)

    async def drop(self):
        self.writer.transport.abort()
        await self.reading


class Protocol(H2Connection):
    """After GOAWAY the streams that are open go on to their ends (RFC 9113 §6.8), where h2 takes nothing any more."""

    def _receive_goaway_frame(self, frame):
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        return [], [event]


class Stream:
    """One stream, and the WebSocket on it if there is one."""

    def __init__(self, connection, identifier, is_socket):
        self.connection = connection
        self.id = identifier
        self.is_socket = is_socket
        self.headers = None
        self.body = b""
        self.ended = False
        self.reset = None
        self.frames = Frames(ConnectionType.CLIENT)
        self.messages = []
        self.partial = []
        self.closed = None
        self.sending = asyncio.Lock()
        self.answers = []

    @property
    def status(self):
        return int(self.headers[":status"])

    def happened(self, event):
        if isinstance(event, ResponseReceived):
            self.headers = dict(event.headers)
        elif isinstance(event, DataReceived):
            self.received(event)
        elif isinstance(event, StreamEnded):
            self.ended = True
        elif isinstance(event, StreamReset):
            self.reset = event.error_code

    def received(self, event):
        self.connection.h2.acknowledge_received_data(event.flow_controlled_length, self.id)
        self.body += event.data
        if not self.speaks_websocket():
            return
        self.frames.receive_data(event.data)
        for what in self.frames.events():
            if isinstance(what, Message):
                self.partial.append(what.data)
                if what.message_finished:
                    self.messages.append(type(what.data)().join(self.partial))
                    self.partial = []
            elif isinstance(what, Ping):
                self.answer(what.response())
            elif isinstance(what, CloseConnection):
                self.closed = (what.code, what.reason or "")
                if self.frames.state is ConnectionState.REMOTE_CLOSING:
                    self.answer(what.response())

    def speaks_websocket(self):
        return self.is_socket and self.status == 200 and self.frames.state is not ConnectionState.CLOSED

    def answer(self, event):
        """After what is being sent, as the windows allow."""
        self.answers.append(asyncio.create_task(self.send(event)))

    async def send(self, message):
        await self.send_bytes(self.frames.send(message))

    async def send_bytes(self, data):
        """As much at a time as the server's windows allow; ends early where the server ended the stream."""
        async with self.sending:
            return await self.send_as_allowed(data)

    async def send_as_allowed(self, data):
        h2 = self.connection.h2
        room = lambda: min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size)
        sent = 0
        while sent < len(data):
            await self.connection.until(lambda: self.over() or room() > 0)
            if self.over():
                break
            size = room()
            h2.send_data(self.id, data[sent : sent + size])
            sent += min(size, len(data) - sent)
            self.connection.flush()
            await self.connection.writer.drain()
        return sent

    def over(self):
        return self.reset is not None or self.ended or self.connection.ended

    async def next(self):
        await self.connection.until(lambda: self.messages or self.closed or self.over())
        return self.messages.pop(0)

    async def close(self, code=1000, reason=""):
        """The closing handshake: what the server answered, once it has ended the stream."""
        await self.send(CloseConnection(code=code, reason=reason))
        await self.connection.until(self.over)
        if self.reset is None:
            self.connection.h2.end_stream(self.id)
            self.connection.flush()
        return self.closed


def handshake(path):
    """The fields of an opening handshake (RFC 8441 §5)."""
    return {**ordinary(path), ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13"}


def ordinary(path):
    """The fields of a request for a page."""
    return {":method": "GET", ":scheme": "https", ":path": path, ":authority": "localhost"}
