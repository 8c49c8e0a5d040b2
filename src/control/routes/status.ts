// State of the engine, and a checkpoint on demand.

import { Type } from "../../schema.js";
import { closed, POSITION } from "../fields.js";
import { type ControlContext, type Route, route } from "../route.js";

const COUNT = Type.Integer({ minimum: 0 });
const STATUS = closed({
  position: POSITION,
  committedPosition: POSITION,
  checkpointPosition: POSITION,
  cards: COUNT,
  holders: COUNT,
  terminals: COUNT,
  organisations: COUNT,
  sessions: COUNT,
  blacklist: COUNT,
  businessDate: COUNT,
  catalogueVersion: COUNT,
  uptimeSeconds: Type.Number(),
  ready: Type.Boolean(),
  draining: Type.Boolean(),
});

export function statusRoutes({ main }: ControlContext): Route[] {
  return [
    route({
      method: "GET",
      url: "/v1/status",
      tag: "status",
      summary: "Positions, counts, dates and versions of the engine",
      response: STATUS,
      handle: () => main.ask({ op: "status" }),
    }),
    route({
      method: "POST",
      url: "/v1/checkpoint",
      tag: "status",
      summary: "Writes a checkpoint and answers when it is on disk",
      response: closed({ checkpointPosition: POSITION }),
      handle: () => main.ask({ op: "checkpoint" }),
    }),
  ];
}
