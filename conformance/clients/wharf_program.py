"""The program `wharf serve`, as the Python tests start it."""

import asyncio
import os
import re
import ssl

LIMIT = 2 * 1024 * 1024
LIMITS = ("--max-received-frame-size", str(LIMIT), "--max-received-message-size", str(LIMIT))

# Seconds. A program that has not stopped by then is killed, and the test sees the signal instead of a status.
LONGEST_END = 20


class Wharf:
    """The program on a free port, with raised limits and with the flags that are given."""

    def __init__(self, *flags):
        self.flags = flags

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            os.environ["WHARF_BIN"], "serve", "--listen", "127.0.0.1:0", *LIMITS, *self.flags, stdout=asyncio.subprocess.PIPE
        )
        line = (await self.process.stdout.readline()).decode()
        found = re.fullmatch(r"wharf: serving http(s?)://(127\.0\.0\.1:(\d+))/\n", line)
        assert found, f"the first line was {line!r}"
        self.tls = any_certificate() if found[1] else None
        self.url = f"ws{found[1]}://{found[2]}"
        self.port = int(found[3])
        return self

    async def end(self):
        if self.process.returncode is None:
            self.process.terminate()
        deadline = asyncio.get_running_loop().call_later(LONGEST_END, self.process.kill)
        try:
            return await self.process.wait()
        finally:
            deadline.cancel()


def any_certificate():
    """TLS that takes the certificate that the program made for itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
