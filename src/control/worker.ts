// The thread of the control plane. It has its low priority before it loads what it does: a start
// loads tables meanwhile, for which two threads want two cores.

import { lowerPriority } from "../thread-priority.js";

lowerPriority();
await import("./plane.js");
