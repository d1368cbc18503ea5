// Echo server of `ws`.  Argument: {"deflate": false | {...}, "cert": path, "key": path}.
// Prints its port, then for each connection the close frame that it received.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { WebSocketServer } from "ws";

const options = JSON.parse(process.argv[2]);
const server = options.cert
  ? createSecureServer({
      cert: readFileSync(options.cert),
      key: readFileSync(options.key),
    })
  : createServer();
const websockets = new WebSocketServer({
  server,
  maxPayload: 0,
  perMessageDeflate: options.deflate && { threshold: 0, ...options.deflate },
});

websockets.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    const text = isBinary ? "" : data.toString();
    if (text === "!fragments") {
      options.fragments.forEach((fragment, number) =>
        socket.send(fragment, { fin: number === options.fragments.length - 1 }),
      );
    } else if (text === "!ping") {
      socket.ping(options.ping);
    } else if (text.startsWith("!close ")) {
      const [, code, reason] = /^!close (\d+) (.*)$/s.exec(text);
      socket.close(Number(code), reason);
    } else {
      socket.send(data, { binary: isBinary });
    }
  });
  socket.on("pong", (data) => {
    if (data.toString() === options.ping) socket.send(options.pong);
  });
  socket.on("error", (error) => console.error(error));
  socket.on("close", (code, reason) =>
    console.log(JSON.stringify({ code, reason: reason.toString() })),
  );
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
