// Loaded into a real server before it starts (node --import), for the control of the verdict: this
// server counts each use of a card twice.

import { Cards } from "../../engine/cards.js";

const { countUse } = Cards.prototype;
Cards.prototype.countUse = function (...use) {
  countUse.apply(this, use);
  countUse.apply(this, use);
};
