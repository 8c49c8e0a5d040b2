// The five sorts of rows, each as a lane: rows go in one by one, command batches come out.

import { type CatalogueVersion, COMMAND } from "../../engine/commands.js";
import type { Assembly, ImportContext } from "./assembly.js";
import { BatchBuilder, type LinedBatch } from "./batches.js";
import { CARD_ASSEMBLY } from "./card-row.js";
import {
  checkCatalogueHead,
  checkItem,
  checkOrganisation,
  documentBytes,
  ITEM_COLUMNS,
  ORGANISATION_COLUMNS,
} from "./document-rows.js";
import { type Fault, type Fields, fault } from "./fields.js";
import { LIST_ASSEMBLY } from "./list-row.js";
import { TERMINAL_ASSEMBLY } from "./terminal-row.js";

export const IMPORT_SORTS = [
  "organisations",
  "terminals",
  "cards",
  "blacklist",
  "catalogue",
] as const;
export type ImportSort = (typeof IMPORT_SORTS)[number];

export interface Lane {
  readonly columns: readonly string[];
  readonly required: readonly string[];
  /** Takes a row; hands out batches that are full. */
  take(fields: Fields, line: number, out: LinedBatch[]): Fault | null;
  /** Hands out what is left when a block of the file ends. */
  endBlock(out: LinedBatch[]): void;
  endFile(out: LinedBatch[]): Fault | null;
}

export interface CatalogueHead {
  version: number;
  /** YYYYMMDD. */
  effectiveDate: number;
}

/** Whether nothing goes out before the file's end, so that there is nothing to take up again. */
export function goesWhole(sort: ImportSort): boolean {
  return sort === "catalogue";
}

/** The lane of a sort. `head` is for a catalogue file that does not begin with one. */
export function laneOf(sort: ImportSort, context: ImportContext, head?: CatalogueHead): Lane {
  switch (sort) {
    case "organisations":
      return new OrganisationLane();
    case "terminals":
      return new AssemblyLane(TERMINAL_ASSEMBLY, context);
    case "cards":
      return new AssemblyLane(CARD_ASSEMBLY, context);
    case "blacklist":
      return new AssemblyLane(LIST_ASSEMBLY, context);
    case "catalogue":
      return new CatalogueLane(head);
  }
}

class AssemblyLane<T> implements Lane {
  readonly columns: readonly string[];
  readonly required: readonly string[];
  private readonly assembly: Assembly<T>;
  private readonly context: ImportContext;
  private readonly builder: BatchBuilder<T>;

  constructor(assembly: Assembly<T>, context: ImportContext) {
    this.columns = assembly.columns;
    this.required = assembly.required;
    this.assembly = assembly;
    this.context = context;
    this.builder = new BatchBuilder(assembly, context);
  }

  take(fields: Fields, line: number, out: LinedBatch[]): Fault | null {
    const checked = this.assembly.check(fields, this.context);
    if (!checked.ok) return checked;
    const full = this.builder.add(checked.value, line);
    if (full !== null) out.push(full);
    return null;
  }

  endBlock(out: LinedBatch[]): void {
    const rest = this.builder.finish();
    if (rest !== null) out.push(rest);
  }

  endFile(): null {
    return null;
  }
}

class OrganisationLane implements Lane {
  readonly columns = ORGANISATION_COLUMNS;
  readonly required = ["organisationId", "name", "regionCode", "domains"];

  take(fields: Fields, line: number, out: LinedBatch[]): Fault | null {
    const checked = checkOrganisation(fields);
    if (!checked.ok) return checked;
    const bytes = documentBytes(checked.value);
    const batch = { kind: COMMAND.ORGANISATION, count: 1, bytes };
    out.push({ batch, lines: Uint32Array.of(line), rowsPerCommand: 1 });
    return null;
  }

  endBlock(): void {}

  endFile(): null {
    return null;
  }
}

const VERSION_PLACE = ITEM_COLUMNS.length;

/** All rows of a catalogue file are one version, told in its first row or by the caller. */
class CatalogueLane implements Lane {
  readonly columns = [...ITEM_COLUMNS, "version", "effectiveDate"];
  readonly required = ITEM_COLUMNS.filter((name) => name !== "nameEn" && name !== "endDate");
  private catalogue: CatalogueVersion | null;

  constructor(head?: CatalogueHead) {
    this.catalogue = head === undefined ? null : { ...head, items: [] };
  }

  take(fields: Fields): Fault | null {
    if (fields[0] === undefined && fields[VERSION_PLACE] !== undefined) return this.begin(fields);
    if (this.catalogue === null) return fault("", "comes before the catalogue's version");
    const checked = checkItem(fields);
    if (!checked.ok) return checked;
    this.catalogue.items.push(checked.value);
    return null;
  }

  endBlock(): void {}

  endFile(out: LinedBatch[]): Fault | null {
    if (this.catalogue === null) return fault("version", "is missing: the catalogue has none");
    const { catalogue } = this;
    const batch = { kind: COMMAND.CATALOGUE, count: 1, bytes: documentBytes(catalogue) };
    out.push({ batch, lines: Uint32Array.of(1), rowsPerCommand: catalogue.items.length });
    return null;
  }

  private begin(fields: Fields): Fault | null {
    const head = checkCatalogueHead(fields[VERSION_PLACE], fields[VERSION_PLACE + 1]);
    if (!head.ok) return head;
    if (this.catalogue !== null && this.catalogue.version !== head.value.version) {
      return fault("version", "differs from the version given before");
    }
    this.catalogue ??= head.value;
    return null;
  }
}
