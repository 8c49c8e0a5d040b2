// The limit of the wire: uWebSockets.js, which Tongka's listener is made of, giving every message
// back as it came, over WebSocket and POST. No MAC, no decision, no disk.

import uWS from "uWebSockets.js";
import { childOptions, serveParent } from "./child.js";

/** What it says when it serves. */
export interface EchoReady {
  url: string;
}

const HOST = "127.0.0.1";
const MESSAGE_SIZE_MAX = 1 << 20;

childOptions<null>();
const app = uWS.App();
app.ws("/*", {
  maxPayloadLength: MESSAGE_SIZE_MAX,
  maxBackpressure: 64 * MESSAGE_SIZE_MAX,
  message: (socket, message) => {
    socket.send(message, true);
  },
});
app.post("/*", (response) => {
  response.onAborted(() => {});
  response.onData((chunk, isLast) => {
    // A request of this load comes in one piece.
    if (isLast) response.cork(() => response.end(chunk));
  });
});
app.listen(HOST, 0, (socket) => {
  if (!socket) throw new Error("the echo cannot listen on the loopback address");
  const port = uWS.us_socket_local_port(socket);
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  const ready: EchoReady = { url: `ws://${HOST}:${port}/echo` };
  serveParent(ready, { cpu }, () => uWS.us_listen_socket_close(socket));
});
