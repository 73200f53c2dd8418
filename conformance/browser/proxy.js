import { once } from "node:events";
import http from "node:http";
import net from "node:net";

/** A reverse proxy that serves an origin under a path, as an administrator's would. */
export async function startProxy(origin, path) {
  const target = new URL(origin);
  const inner = (url) => url.slice(path.length - 1);
  const server = http.createServer((request, response) => {
    if (!request.url.startsWith(path)) {
      response.writeHead(404).end();
      return;
    }
    const options = { host: target.hostname, port: target.port, path: inner(request.url), headers: request.headers };
    http.get(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
  });
  server.on("upgrade", (request, socket) => {
    const upstream = net.connect(target.port, target.hostname);
    const headers = request.rawHeaders.map((word, index) => (index % 2 === 0 ? `\r\n${word}: ` : word)).join("");
    upstream.write(`GET ${inner(request.url)} HTTP/1.1${headers}\r\n\r\n`);
    socket.pipe(upstream).pipe(socket);
    // Whichever side goes first, takes the other along.
    socket.on("error", () => upstream.destroy());
    upstream.on("error", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}${path}`,
    end() {
      server.close();
      server.closeAllConnections();
    },
  };
}
