// Terminals of the province: kinds in their shares, counties by population. Gates of metro
// stations and tills of hospitals stand behind a concentrator that speaks for them.
// A terminalId is the last four digits of the county's code, then four of a number in the county.

import type { DomainName } from "../../engine/domain.js";
import type { MacAlgorithmName } from "../../protocol/mac-algorithms.js";
import { CITY_OPERATORS, OPERATORS, type OperatorKind, organisationId } from "./organisations.js";
import { apportion, draw, PURPOSE } from "./random.js";
import { MAC_SHARES, RATES } from "./rates.js";
import { COUNTIES, type Region } from "./regions.js";

export const TERMINALS_MIN = 100;
/** Keeps the number within the largest county under 10,000. */
export const TERMINALS_MAX = 60_000;
const TERMINALS_PER_COUNTY_MAX = 9_999;
const SANSHA_CODE = 460300;

interface Kind {
  operator: OperatorKind;
  /** Share of all terminals, in parts of 100. */
  share: number;
  /** Terminals behind one concentrator; 0 when each speaks for itself. */
  groupCount: number;
}

/** Terminals by kind. */
const KINDS = {
  "bus-gate": { operator: OPERATORS.bus, share: 38, groupCount: 0 },
  "metro-gate": { operator: CITY_OPERATORS.metro, share: 12, groupCount: 12 },
  "ferry-gate": { operator: CITY_OPERATORS.ferry, share: 2, groupCount: 0 },
  "hospital-pos": { operator: OPERATORS.hospital, share: 13, groupCount: 8 },
  "clinic-pos": { operator: OPERATORS.clinic, share: 6, groupCount: 0 },
  "pharmacy-pos": { operator: OPERATORS.pharmacy, share: 9, groupCount: 0 },
  "library-gate": { operator: OPERATORS.library, share: 4, groupCount: 0 },
  "scenic-gate": { operator: OPERATORS.scenic, share: 6, groupCount: 0 },
  "benefit-kiosk": { operator: OPERATORS.benefits, share: 5, groupCount: 0 },
  "service-kiosk": { operator: OPERATORS.serviceHall, share: 3, groupCount: 0 },
  "school-gate": { operator: OPERATORS.school, share: 2, groupCount: 0 },
} as const satisfies Record<string, Kind>;

export type TerminalKind = keyof typeof KINDS;
export const TERMINAL_KINDS = Object.keys(KINDS) as TerminalKind[];

export interface Terminal {
  terminalId: number;
  /** "concentrator" takes no cards itself. */
  kind: TerminalKind | "concentrator";
  organisationId: number;
  regionCode: number;
  domains: readonly DomainName[];
  /** 0 for none. */
  concentratorId: number;
  closed: boolean;
  macAlgorithm: MacAlgorithmName;
}

/** `count` terminals and the concentrators they need, each concentrator before its terminals. */
export function terminalsOf(seed: number, count: number): Terminal[] {
  if (!(Number.isInteger(count) && count >= TERMINALS_MIN && count <= TERMINALS_MAX)) {
    throw new RangeError("a province has 100 to 60,000 terminals");
  }
  const all: Terminal[] = [];
  const used = new Map<number, number>();
  const perKind = apportion(
    count,
    TERMINAL_KINDS.map((name) => KINDS[name].share),
  );
  TERMINAL_KINDS.forEach((name, i) => {
    const places = COUNTIES.filter((county) => hasKind(county, KINDS[name].operator));
    const perPlace = apportion(
      perKind[i]!,
      places.map((county) => county.population),
    );
    places.forEach((county, p) => {
      addTerminals(all, used, seed, name, county, perPlace[p]!);
    });
  });
  return all;
}

function hasKind(county: Region, operator: OperatorKind): boolean {
  const ofCity = operator.ordinal >= CITY_OPERATORS.metro.ordinal;
  return !ofCity || (county.parentCode % 1000 !== 0 && county.parentCode !== SANSHA_CODE);
}

function addTerminals(
  all: Terminal[],
  used: Map<number, number>,
  seed: number,
  name: TerminalKind,
  county: Region,
  count: number,
): void {
  const { groupCount } = KINDS[name];
  let concentratorId = 0;
  for (let i = 0; i < count; i++) {
    if (groupCount > 0 && i % groupCount === 0) {
      concentratorId = nextTerminalId(used, county);
      all.push(terminal(seed, concentratorId, name, county, 0, "concentrator"));
    }
    all.push(terminal(seed, nextTerminalId(used, county), name, county, concentratorId, name));
  }
}

function nextTerminalId(used: Map<number, number>, county: Region): number {
  const number = (used.get(county.code) ?? 0) + 1;
  if (number > TERMINALS_PER_COUNTY_MAX) throw new RangeError("a county has too many terminals");
  used.set(county.code, number);
  return (county.code % 10_000) * 10_000 + number;
}

function terminal(
  seed: number,
  terminalId: number,
  name: TerminalKind,
  county: Region,
  concentratorId: number,
  kind: Terminal["kind"],
): Terminal {
  const operator: OperatorKind = KINDS[name].operator;
  const ofCity = operator.ordinal >= CITY_OPERATORS.metro.ordinal;
  const closed = draw(seed, PURPOSE.TERMINAL, terminalId) < RATES.terminalClosed;
  return {
    terminalId,
    kind,
    organisationId: organisationId(ofCity ? county.parentCode : county.code, operator.ordinal),
    regionCode: county.code,
    domains: operator.domains,
    concentratorId,
    closed: closed && kind !== "concentrator",
    macAlgorithm: macAlgorithm(seed, terminalId),
  };
}

function macAlgorithm(seed: number, terminalId: number): MacAlgorithmName {
  let left = draw(seed, PURPOSE.TERMINAL * 1024, terminalId);
  for (const { name, share } of MAC_SHARES) {
    if (left < share) return name;
    left -= share;
  }
  return MAC_SHARES[0].name;
}
