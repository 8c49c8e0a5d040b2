// Loads the echo with the frames of a shape, by the same window as Tongka.

import { Child } from "./child.js";
import type { EchoReady } from "./echo-host.js";
import { makeFrames } from "./frames.js";
import { madeUpKeys } from "./sign-on.js";
import { LoadSocket } from "./socket.js";
import { runWindows, Window } from "./window.js";
import { framePlans, type Shape } from "./wire.js";

const WARM_UP_PART = 0.2;
/** The echo is several times faster than any server: its frames go round. */
const CARD_COUNT = 1000;

/** Frames a second and CPU microseconds of the echo for each. */
export async function loadEcho(shape: Shape, frameCount: number, seconds: number) {
  const echo = await Child.start<EchoReady>("echo-host", null);
  const sockets: LoadSocket[] = [];
  const { url } = echo.ready;
  try {
    const windows: Window[] = [];
    for (const plan of framePlans(
      shape.connections,
      shape.recordsPerFrame,
      frameCount,
      CARD_COUNT,
    )) {
      let window: Window | null = null;
      const answered = () => {
        window!.answered++;
      };
      const socket = await LoadSocket.open(url, !shape.apart, answered, () => window?.pump());
      sockets.push(socket);
      const messages = makeFrames(plan, madeUpKeys());
      window = new Window(messages, shape.inFlight, (bytes) => socket.send(bytes));
      windows.push(window);
    }
    await runWindows(windows, Math.ceil(frameCount * WARM_UP_PART), seconds * WARM_UP_PART);
    const before = await echo.ask<number>("cpu");
    const flow = await runWindows(windows, frameCount, seconds);
    const cpu = (await echo.ask<number>("cpu")) - before;
    return {
      framesPerSecond: flow.messages / flow.seconds,
      cpuMicrosecondsPerFrame: cpu / flow.messages,
    };
  } finally {
    for (const socket of sockets) socket.close();
    await echo.stop();
  }
}
