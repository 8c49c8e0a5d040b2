// Organisations, and versions of the catalogue: JSON documents, checked as rows of import files are
// and written with their keys in the same order; the engine checks what concerns other documents.

import { type CatalogueVersion, COMMAND, type Organisation } from "../../../engine/commands.js";
import { CATALOGUE_DATE_MIN } from "../../../engine/domain.js";
import { AMOUNT_MINOR_MAX, ITEM_CODE_MAX } from "../../../protocol/use-record.js";
import {
  documentBytes,
  toCatalogueDocument,
  toOrganisationDocument,
} from "../../import/document-rows.js";
import type { Checked } from "../../import/fields.js";
import { oneOf, Type } from "../../schema.js";
import { executeOne } from "../commands.js";
import { COMMAND_DONE, closed, ORGANISATION_ID, PAGE, page, REGION_CODE } from "../fields.js";
import { DOMAIN_NAMES } from "../names.js";
import { invalid, notFound } from "../problem.js";
import { type ControlContext, type Route, route } from "../route.js";

const NAME = Type.String({ minLength: 1, maxLength: 200 });
const U32_MAX = 4_294_967_295;

export const ORGANISATION = closed({
  organisationId: ORGANISATION_ID,
  name: NAME,
  regionCode: REGION_CODE,
  parentId: Type.Integer({ minimum: 0, maximum: U32_MAX, description: "0 for none" }),
  domains: Type.Array(oneOf(DOMAIN_NAMES), { maxItems: DOMAIN_NAMES.length }),
  status: oneOf(["open", "closed"]),
});

const ITEM = closed({
  itemCode: Type.Integer({ minimum: 1, maximum: ITEM_CODE_MAX }),
  name: NAME,
  nameEn: Type.String({ maxLength: 200 }),
  function: NAME,
  kind: oneOf(["benefit", "identity", "inquiry", "proof"]),
  domain: oneOf(DOMAIN_NAMES),
  organisationId: ORGANISATION_ID,
  regions: Type.Array(Type.Integer({ minimum: 11, maximum: 999_999 }), {
    minItems: 1,
    maxItems: 4000,
    description: "GB/T 2260 codes of 2, 4 or 6 digits",
  }),
  media: Type.Array(oneOf(["chip", "electronic"]), { minItems: 1, maxItems: 2 }),
  startDate: Type.Integer({ minimum: CATALOGUE_DATE_MIN, maximum: 99991231 }),
  endDate: Type.Integer({ minimum: 0, maximum: 99991231, description: "YYYYMMDD, 0 open-ended" }),
  amountMinorMax: Type.Integer({ minimum: 0, maximum: AMOUNT_MINOR_MAX, description: "fen" }),
});

export const CATALOGUE = closed({
  version: Type.Integer({ minimum: 1, maximum: U32_MAX }),
  effectiveDate: Type.Integer({ minimum: CATALOGUE_DATE_MIN, maximum: 99991231 }),
  items: Type.Array(ITEM, { minItems: 1, maxItems: 10_000 }),
});

export function organisationRoutes({ main }: ControlContext): Route[] {
  return [
    route({
      method: "GET",
      url: "/v1/organisations",
      tag: "organisations",
      summary: "Organisations in order of their ids",
      query: closed(PAGE),
      response: closed({ organisations: Type.Array(ORGANISATION) }),
      handle: async ({ query }) => ({
        organisations: await main.ask({ op: "organisations", ...page(query) }),
      }),
    }),
    route({
      method: "GET",
      url: "/v1/organisations/:organisationId",
      tag: "organisations",
      summary: "One organisation",
      params: closed({ organisationId: ORGANISATION_ID }),
      response: ORGANISATION,
      handle: async ({ params }) => {
        const found = await main.ask<"organisation">({ op: "organisation", ...params });
        if (!found) throw notFound("no such organisation");
        return found;
      },
    }),
    route({
      method: "POST",
      url: "/v1/organisations",
      tag: "organisations",
      summary: "Adds an organisation or replaces what is known of it",
      body: ORGANISATION,
      response: COMMAND_DONE,
      handle: ({ body }) =>
        executeOne(main, COMMAND.ORGANISATION, bytesOf(toOrganisationDocument(body))),
    }),
  ];
}

export function catalogueRoutes({ main }: ControlContext): Route[] {
  return [
    route({
      method: "GET",
      url: "/v1/catalogue",
      tag: "catalogue",
      summary: "A catalogue version, the one in force without a number, and the list of all",
      query: closed({ version: Type.Optional(Type.Integer({ minimum: 1, maximum: U32_MAX })) }),
      handle: async ({ query }) => {
        const view = await main.ask<"catalogue">({ op: "catalogue", ...query });
        if (query.version !== undefined && !view.document) {
          throw notFound("no such catalogue version");
        }
        return view;
      },
    }),
    route({
      method: "POST",
      url: "/v1/catalogue",
      tag: "catalogue",
      summary: "Publishes a catalogue version; once published it never changes",
      body: CATALOGUE,
      response: COMMAND_DONE,
      handle: ({ body }) =>
        executeOne(
          main,
          COMMAND.CATALOGUE,
          bytesOf(toCatalogueDocument(body.version, body.effectiveDate, body.items)),
        ),
    }),
  ];
}

/** A document as the bytes that stand in the journal, in a buffer of their own. */
function bytesOf(checked: Checked<Organisation | CatalogueVersion>): Uint8Array<ArrayBuffer> {
  if (!checked.ok) throw invalid(`${checked.column} ${checked.cause}`);
  return new Uint8Array(documentBytes(checked.value));
}
