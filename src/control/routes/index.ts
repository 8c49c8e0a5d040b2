// All routes of the control plane.

import type { ControlContext, Route } from "../route.js";
import { blacklistRoutes } from "./blacklist.js";
import { cardRoutes } from "./cards.js";
import { decisionRoutes } from "./decisions.js";
import { healthRoutes } from "./health.js";
import { importRoutes } from "./imports.js";
import { catalogueRoutes, organisationRoutes } from "./organisations.js";
import { statusRoutes } from "./status.js";
import { terminalRoutes } from "./terminals.js";

export function allRoutes(context: ControlContext): Route[] {
  return [
    ...healthRoutes(context),
    ...statusRoutes(context),
    ...decisionRoutes(context),
    ...cardRoutes(context),
    ...blacklistRoutes(context),
    ...terminalRoutes(context),
    ...organisationRoutes(context),
    ...catalogueRoutes(context),
    ...importRoutes(context),
  ];
}
