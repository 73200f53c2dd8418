"""`wharf connect` on a terminal, which `pyte` draws, against Python's `websockets` as a server."""

import codecs
import fcntl
import os
import pathlib
import pty
import queue
import re
import select
import signal
import socket
import stat
import struct
import tempfile
import termios
import threading
import time
import unittest

import pyte
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve
from websockets.utils import accept_key

# A test that has not seen what it waits for by then fails, with the screen as it is.
PATIENCE = 20
CTRL_C, CTRL_D, CTRL_R, HOME, UP = "\x03", "\x04", "\x12", "\x1b[H", "\x1b[A"


class Server:
    """Takes one connection after the other. What comes is in `messages`; `send` and `close` go to the latest."""

    def __init__(self):
        self.messages = queue.Queue()
        self.connections = queue.Queue()
        self.server = serve(self.serve, "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = "ws://127.0.0.1:%d/" % self.server.socket.getsockname()[1]

    def serve(self, connection):
        self.connections.put(connection)
        try:
            while True:
                self.messages.put(connection.recv())
        except ConnectionClosed:
            self.messages.put((connection.close_code, connection.close_reason))

    def end(self):
        self.server.shutdown()
        self.thread.join()


class DeafServer:
    """Opens a WebSocket and reads nothing that comes on it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://127.0.0.1:%d/" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        self.connection, _ = self.listener.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.connection.recv(1)
        key = re.search(rb"(?i)^sec-websocket-key: *(\S+)", head, re.MULTILINE)[1]
        answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        answer.append(f"Sec-WebSocket-Accept: {accept_key(key.decode())}")
        self.connection.sendall("\r\n".join([*answer, "", ""]).encode())

    def end(self):
        self.thread.join()
        self.connection.close()
        self.listener.close()


class Terminal:
    """The program in a pseudo-terminal of its own, and what a person would see."""

    def __init__(self, *arguments, state, columns=80, rows=24):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.written = ""
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state, "NO_COLOR": "1"}
        program = os.environ["WHARF_BIN"]
        self.process, self.end = pty.fork()
        if self.process == 0:
            os.execve(program, [program, "connect", *arguments], environment)
        self.status = None
        self.resize(columns, rows)

    def type(self, keys):
        os.write(self.end, keys.encode())

    def enter(self, line):
        """Types a line, and waits for the next prompt: until then the terminal takes control keys for itself."""
        self.type(line + "\r")
        self.wait_until(lambda lines: f"> {line}" in lines and lines[-1] == ">", "there was no further prompt")

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def lines(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def wait_until(self, is_so, what):
        """Reads what the program writes until its screen is as it should be."""
        deadline = time.monotonic() + PATIENCE
        while not is_so(self.lines()):
            left = deadline - time.monotonic()
            assert left > 0 and self.read(left), f"{what}; the screen was\n" + "\n".join(self.lines())
        return self.lines()

    def wait_for_line(self, text):
        return self.wait_until(lambda lines: text in lines, f"there was no line {text!r}")

    def wait_for_last_line(self, text):
        return self.wait_until(lambda lines: lines[-1:] == [text], f"the last line was not {text!r}")

    def edits_by_itself(self):
        """Whether the terminal is as programs find it: it echoes, and has Ctrl-C and lines of its own."""
        own = termios.ICANON | termios.ECHO | termios.ISIG
        return termios.tcgetattr(self.end)[3] & own == own

    def read(self, timeout):
        """Whether the program is still there."""
        ready, _, _ = select.select([self.end], [], [], timeout)
        try:
            output = os.read(self.end, 65536) if ready else b""
        except OSError:  # How Linux tells that nobody has the terminal open any more.
            return False
        text = self.decoder.decode(output)
        self.written += text
        self.stream.feed(text)
        return True

    def wait_for_end(self):
        """The status that the program ends with, and what its terminal shows then."""
        deadline = time.monotonic() + PATIENCE
        while self.read(max(0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, "it did not end; the screen was\n" + "\n".join(self.lines())
        _, status = os.waitpid(self.process, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status, self.lines()

    def close(self):
        self.type(CTRL_D)
        assert self.wait_for_end()[0] == 0

    def kill(self):
        if self.status is None:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        os.close(self.end)


class OnATerminal(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.end)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = folder.name

    def start(self, *arguments, **size):
        terminal = Terminal("--time=none", *arguments, self.server.url, state=self.state, **size)
        self.addCleanup(terminal.kill)
        terminal.wait_for_last_line(">")
        self.connection = self.server.connections.get(timeout=PATIENCE)
        return terminal

    def assert_received(self, *messages):
        self.assertEqual([self.server.messages.get(timeout=PATIENCE) for _ in messages], list(messages))

    def test_a_message_that_arrives_leaves_the_line_that_is_typed_whole(self):
        terminal = self.start()
        terminal.type("half a line")
        terminal.wait_for_last_line("> half a line")
        for number in range(30):
            self.connection.send(f"message {number}")
            lines = terminal.wait_until(
                lambda lines: f"< message {number}" in lines and lines[-1] == "> half a line",
                "the message did not stand above the line",
            )
        self.assertEqual(lines[-3:], ["< message 28", "< message 29", "> half a line"])
        terminal.type(HOME + "the other ")
        terminal.wait_for_last_line("> the other half a line")
        self.connection.send("one more")
        terminal.wait_until(lambda lines: lines[-2:] == ["< one more", "> the other half a line"], "it was lost")
        terminal.type("and \r")
        self.assert_received("the other and half a line")

    def test_a_line_longer_than_the_screen_is_wide_stays_whole_too(self):
        terminal = self.start(columns=20, rows=10)
        terminal.type("x" * 30)
        typed = ["> " + "x" * 18, "x" * 12]
        terminal.wait_until(lambda lines: lines[-2:] == typed, "it was not wrapped")
        self.connection.send("a message")
        terminal.wait_until(lambda lines: lines[-3:] == ["< a message", *typed], "it was not whole")
        terminal.resize(50, 10)
        terminal.type("y")
        terminal.wait_until(lambda lines: lines[-1].endswith("x" * 12 + "y"), "it was not drawn again")
        self.connection.send("another")
        terminal.wait_for_line("< another")
        terminal.type("\r")
        self.assert_received("x" * 30 + "y")

    def test_a_peer_never_controls_the_terminal(self):
        terminal = self.start()
        terminal.type("typed")
        terminal.wait_for_last_line("> typed")
        self.connection.send("\x1b]0;title\x07\x1b[2J\x1b[H\x9b1m\r\x08\nline\n> typed")
        terminal.wait_until(
            lambda lines: lines[-4:]
            == ["< \\x1b]0;title\\x07\\x1b[2J\\x1b[H\\u{9b}1m\\r\\x08", "| line", "| > typed", "> typed"],
            "it was not shown as it came",
        )
        self.assertEqual(terminal.screen.title, "")
        self.connection.send(b"\x1b[2J\x00")
        terminal.wait_for_line("| 0000: 1b5b 324a 00" + " " * 29 + ".[2J.")
        self.connection.close(4000, "\x1b[31mbye")
        status, lines = terminal.wait_for_end()
        self.assertEqual(status, 6)
        self.assertEqual(lines[-1], 'wharf: closed by the peer: 4000 "\\x1b[31mbye"')

    def test_commands_do_what_they_say(self):
        terminal = self.start()
        terminal.type("/ping are you there\r")
        terminal.wait_until(
            lambda lines: any(line.startswith('* pong "are you there" after ') for line in lines), "there was no pong"
        )
        path = pathlib.Path(self.state) / "a file"
        path.write_bytes(b"\x00\xff")
        terminal.type(f"/binary {path}\r")
        terminal.wait_for_line("* sent 2 bytes")
        terminal.type("/hex 01 02\r")
        terminal.type("//slash\r")
        self.assert_received(b"\x00\xff", b"\x01\x02", "/slash")
        terminal.type("/pnig\r")
        terminal.wait_until(lambda lines: any("/pnig" in line and line[0] == "*" for line in lines), "it was not told")
        terminal.type("/binary /dev/zero\r")
        terminal.wait_for_line("* not sent: /dev/zero is not a file")
        terminal.type("/help\r")
        terminal.wait_for_line("* commands:")
        terminal.type("/close 99\r")
        terminal.wait_until(lambda lines: any("99 is not valid" in line for line in lines), "the code was taken")
        terminal.type("/close 4321 for good\r")
        self.assert_received((4321, "for good"))
        self.assertEqual(terminal.wait_for_end()[0], 0)

    def test_ctrl_d_and_ctrl_c_close_in_order_and_give_the_terminal_back(self):
        for key in CTRL_D, CTRL_C:
            with self.subTest(key=key):
                terminal = self.start()
                terminal.type(key)
                self.assertEqual(self.server.messages.get(timeout=PATIENCE)[0], 1000)
                status, lines = terminal.wait_for_end()
                self.assertEqual(status, 0)
                self.assertTrue(lines[-1].startswith("wharf: closed: 1000"), lines)
                self.assertEqual(terminal.written.count("\x1b[?2004h"), terminal.written.count("\x1b[?2004l"))
                self.assertTrue(terminal.edits_by_itself())

    def test_a_second_ctrl_c_does_not_wait_for_the_peer(self):
        server = DeafServer()
        self.addCleanup(server.end)
        terminal = Terminal("--close-timeout=1h", server.url, state=self.state)
        self.addCleanup(terminal.kill)
        terminal.wait_for_last_line(">")
        terminal.type(CTRL_C)
        terminal.wait_until(lambda _: terminal.edits_by_itself(), "the terminal was not given back")
        # Until it ends: two that come too close to each other are one to it.
        while terminal.read(0.1):
            terminal.type(CTRL_C)
        self.assertEqual(terminal.wait_for_end()[0], 130)

    def test_a_peer_that_closes_ends_the_line_that_is_typed_and_gives_the_terminal_back(self):
        terminal = self.start()
        self.assertFalse(terminal.edits_by_itself(), "the program edits the line")
        terminal.type("unfinished")
        terminal.wait_for_last_line("> unfinished")
        self.connection.send("last words")
        self.connection.close(1000, "done")
        status, lines = terminal.wait_for_end()
        self.assertEqual(status, 0)
        self.assertEqual(lines[-3:], ["< last words", "> unfinished", 'wharf: closed by the peer: 1000 "done"'])
        self.assertEqual(terminal.written.count("\x1b[?2004h"), terminal.written.count("\x1b[?2004l"))
        self.assertTrue(terminal.edits_by_itself())

    def test_what_was_typed_can_be_recalled_in_the_next_session(self):
        terminal = self.start()
        for line in "first", " not to be kept", "second":
            terminal.enter(line)
        self.assert_received("first", " not to be kept", "second")
        terminal.close()
        self.server.messages.get(timeout=PATIENCE)
        history = pathlib.Path(self.state) / "wharf" / "connect_history"
        self.assertEqual(history.read_text(), "first\nsecond\n")
        self.assertEqual(stat.S_IMODE(history.stat().st_mode), 0o600)

        terminal = self.start()
        terminal.type(UP + UP)
        terminal.wait_for_last_line("> first")
        terminal.type("\r")
        terminal.wait_until(lambda lines: lines[-2:] == ["> first", ">"], "there was no further prompt")
        terminal.type(CTRL_R + "sec")
        terminal.wait_until(lambda lines: "second" in lines[-1], "it was not found")
        terminal.type("\r")
        self.assert_received("first", "second")

    def test_no_history_keeps_none(self):
        terminal = self.start("--no-history")
        terminal.enter("secret")
        self.assert_received("secret")
        terminal.close()
        self.assertEqual(os.listdir(self.state), [])

    def test_a_pasted_text_of_several_lines_is_one_message(self):
        terminal = self.start()
        terminal.type("\x1b[200~one\ntwo\x1b[201~")
        terminal.wait_for_last_line("two")
        terminal.type("\r")
        self.assert_received("one\ntwo")

    def test_lines_that_come_faster_than_they_are_read_are_all_sent(self):
        terminal = self.start()
        terminal.type("".join(f"line {number}\r" for number in range(100)))
        self.assert_received(*(f"line {number}" for number in range(100)))


if __name__ == "__main__":
    unittest.main()
