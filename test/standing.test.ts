// What the ladder remembers of the use before: nothing that has changed since is taken for granted.

import t from "tap";
import { DOMAINS, LIST_SUBJECT, PARTY_STATUS } from "../engine/domain.js";
import { DAY_MS, EngineKit, ITEM, itemOf, SENDER, START_MS, TODAY } from "./engine-kit.js";

const YESTERDAY = 20_250_228;
const TOMORROW = TODAY + 1;
const SECONDS = START_MS / 1000;
const TERMINAL = { subjectKind: LIST_SUBJECT.TERMINAL, subjectId: SENDER };
const ORGANISATION = { subjectKind: LIST_SUBJECT.ORGANISATION, subjectId: 1 };

/** A command after a use that was approved, and the reason of the next one. */
const CHANGES: Record<string, (kit: EngineKit) => string> = {
  TERMINAL_CLOSED: (kit) => kit.changeTerminal({ status: PARTY_STATUS.CLOSED }),
  ORGANISATION_CLOSED: (kit) => kit.organisation({ status: "closed" }),
  TERMINAL_LISTED: (kit) => kit.list(TERMINAL),
  ORGANISATION_LISTED: (kit) => kit.list(ORGANISATION),
  ITEM_UNKNOWN: (kit) => kit.catalogue(2, [itemOf({ itemCode: ITEM + 1 })]),
  ITEM_NOT_STARTED: (kit) => kit.catalogue(2, [itemOf({ startDate: TOMORROW })]),
  ITEM_ENDED: (kit) => kit.catalogue(2, [itemOf({ endDate: YESTERDAY })]),
  DOMAIN_NOT_ALLOWED: (kit) => kit.changeTerminal({ domains: 1 << DOMAINS.indexOf("finance") }),
  REGION_NOT_SERVED: (kit) => kit.catalogue(2, [itemOf({ regions: [4602] })]),
  MEDIUM_NOT_ALLOWED: (kit) => kit.catalogue(2, [itemOf({ media: ["electronic"] })]),
  AMOUNT_OVER_LIMIT: (kit) => kit.catalogue(2, [itemOf({ amountMinorMax: 1 })]),
};

for (const [reason, change] of Object.entries(CHANGES)) {
  t.test(`${reason}: a command binds the next use`, async (t) => {
    const kit = new EngineKit().usual();
    t.equal(kit.use().name, "APPROVED");
    t.equal(change(kit), "DONE");
    t.equal(kit.use().name, reason);
  });
}

t.test("an item ends with its day, and another begins", async (t) => {
  const kit = new EngineKit().usual();
  const ends = itemOf({ endDate: TODAY });
  const begins = itemOf({ itemCode: ITEM + 1, startDate: TOMORROW });
  t.equal(kit.catalogue(2, [ends, begins]), "DONE");
  t.equal(kit.use().name, "APPROVED");
  t.equal(kit.use({ itemCode: ITEM + 1 }).name, "ITEM_NOT_STARTED");
  t.equal(kit.use().name, "APPROVED");
  kit.moveTo(START_MS + DAY_MS);
  t.equal(kit.use({ businessDate: TOMORROW }).name, "ITEM_ENDED");
  t.equal(kit.use({ businessDate: TOMORROW, itemCode: ITEM + 1 }).name, "APPROVED");
});

for (const [reason, subject] of Object.entries({
  TERMINAL_LISTED: TERMINAL,
  ORGANISATION_LISTED: ORGANISATION,
})) {
  t.test(`${reason}: an entry comes into force and ends by the clock alone`, async (t) => {
    const kit = new EngineKit().usual();
    t.equal(kit.list({ ...subject, fromTime: SECONDS + 10, untilTime: SECONDS + 20 }), "DONE");
    t.equal(kit.use().name, "APPROVED");
    kit.moveTo(START_MS + 15_000);
    t.equal(kit.use().name, reason);
    kit.moveTo(START_MS + 25_000);
    t.equal(kit.use().name, "APPROVED");
  });
}

t.test("a use of another item, terminal or medium is judged by its own", async (t) => {
  const kit = new EngineKit().usual();
  const other = itemOf({ itemCode: ITEM + 1, media: ["electronic"] });
  t.equal(kit.catalogue(2, [itemOf(), other]), "DONE");
  t.equal(kit.terminal({ terminalId: SENDER + 1, concentratorId: SENDER, domains: 2 }), "DONE");
  for (let round = 0; round < 2; round++) {
    t.equal(kit.use().name, "APPROVED");
    t.equal(kit.use({ itemCode: ITEM + 1 }).name, "MEDIUM_NOT_ALLOWED");
    t.equal(kit.use({ medium: 2 }).name, "MEDIUM_DIFFERS");
    t.equal(kit.use({ terminalId: SENDER + 1 }).name, "DOMAIN_NOT_ALLOWED");
  }
});
