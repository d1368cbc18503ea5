// Client of `ws`.  Argument: {"url": ..., "deflate": bool, "ca": path}.
// Reads orders from standard input and prints events, one JSON object a line each.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import WebSocket from "ws";

const options = JSON.parse(process.argv[2]);
const socket = new WebSocket(options.url, {
  ca: options.ca && readFileSync(options.ca),
  maxPayload: 0,
  perMessageDeflate: options.deflate && { threshold: 0 },
});
const print = (event) => console.log(JSON.stringify(event));

socket.on("open", () => print({ event: "open", extensions: socket.extensions }));
socket.on("message", (data, isBinary) =>
  isBinary
    ? print({ event: "message", base64: data.toString("base64") })
    : print({ event: "message", text: data.toString() }),
);
socket.on("error", (error) => print({ event: "error", text: error.message }));
socket.on("close", (code, reason) => {
  print({ event: "close", code, reason: reason.toString() });
  process.exit();
});
createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  if ("text" in order) socket.send(order.text);
  else if ("base64" in order) socket.send(Buffer.from(order.base64, "base64"));
  else socket.close(order.code, order.reason);
});
