// The repository's own test.

import t from "tap";

t.ok(1);
