// Loaded into a real server before it starts (node --import), for the control of the verdict: this
// server records and counts a repeat as a new use, and counts each use of a card twice.

import { Cards } from "../../engine/cards.js";
import { DateUses } from "../../engine/duplicates.js";

const { countUse } = Cards.prototype;
Cards.prototype.countUse = function (...use) {
  countUse.apply(this, use);
  countUse.apply(this, use);
};

/** As if each use were only awaited by a reversal that came first. */
DateUses.prototype.waiting = () => true;
