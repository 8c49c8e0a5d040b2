// Organisations of the province in a tree of regions (article 4): departments of the province, of
// cities and of counties by domain, and under them those who run terminals.
// An organisationId is the region code times 100 plus the place in the table below.

import type { Organisation } from "../../engine/commands.js";
import { DOMAINS, type DomainName } from "../../engine/domain.js";
import { draw, PURPOSE } from "./random.js";
import { RATES } from "./rates.js";
import { CITIES, COUNTIES, PROVINCE_CODE, PROVINCE_NAME, type Region } from "./regions.js";

/** Names of departments after the region's name, at the province and below it. */
const DEPARTMENTS: Readonly<Record<DomainName, readonly [province: string, below: string]>> = {
  "human-resources": ["人力资源和社会保障厅", "人力资源和社会保障局"],
  health: ["卫生健康委员会", "卫生健康委员会"],
  transport: ["交通运输厅", "交通运输局"],
  "culture-tourism": ["旅游和文化广电体育厅", "旅游和文化广电体育局"],
  "civil-affairs": ["民政厅", "民政局"],
  education: ["教育厅", "教育局"],
  finance: ["财政厅", "财政局"],
  "medical-security": ["医疗保障局", "医疗保障局"],
  "public-security": ["公安厅", "公安局"],
  "big-data": ["大数据管理局", "数据管理中心"],
};

export interface OperatorKind {
  /** Place in the region: organisationId % 100. */
  ordinal: number;
  name: string;
  /** The first is the domain of the department above it. */
  domains: readonly DomainName[];
}

/** Who runs terminals, once in each county. */
export const OPERATORS = {
  bus: { ordinal: 11, name: "公共交通有限公司", domains: ["transport"] },
  hospital: { ordinal: 12, name: "人民医院", domains: ["health", "medical-security"] },
  clinic: { ordinal: 13, name: "社区卫生服务中心", domains: ["health", "medical-security"] },
  pharmacy: { ordinal: 14, name: "惠民大药房", domains: ["medical-security"] },
  library: { ordinal: 15, name: "图书馆", domains: ["culture-tourism"] },
  scenic: { ordinal: 16, name: "旅游景区", domains: ["culture-tourism"] },
  benefits: {
    ordinal: 17,
    name: "社会保障服务中心",
    domains: ["human-resources", "civil-affairs", "finance"],
  },
  serviceHall: { ordinal: 18, name: "政务服务中心", domains: ["big-data", "public-security"] },
  school: { ordinal: 19, name: "中学", domains: ["education"] },
} as const satisfies Record<string, OperatorKind>;

/** Once in a city of districts. */
export const CITY_OPERATORS = {
  metro: { ordinal: 21, name: "轨道交通有限公司", domains: ["transport"] },
  ferry: { ordinal: 22, name: "港航客运有限公司", domains: ["transport"] },
} as const satisfies Record<string, OperatorKind>;

const PROVINCE: Region = {
  code: PROVINCE_CODE,
  name: PROVINCE_NAME,
  parentCode: 0,
  population: 0,
};

export function organisationId(regionCode: number, ordinal: number): number {
  return regionCode * 100 + ordinal;
}

/** The department of a domain in a region. */
export function departmentId(regionCode: number, domain: DomainName): number {
  return organisationId(regionCode, DOMAINS.indexOf(domain));
}

/** All organisations, each after the one above it. */
export function organisationsOf(seed: number): Organisation[] {
  const all = [...departments(PROVINCE)];
  for (const city of CITIES) {
    all.push(...departments(city));
    if (city.population < 1_000_000) continue;
    for (const kind of Object.values(CITY_OPERATORS)) all.push(operator(seed, city, kind));
  }
  for (const county of COUNTIES) {
    all.push(...departments(county));
    for (const kind of Object.values(OPERATORS)) all.push(operator(seed, county, kind));
  }
  return all;
}

function departments(region: Region): Organisation[] {
  return DOMAINS.filter((domain) => domain !== "").map((domain) => ({
    organisationId: departmentId(region.code, domain),
    name: region.name + DEPARTMENTS[domain][region === PROVINCE ? 0 : 1],
    regionCode: region.code,
    parentId: region.parentCode === 0 ? 0 : departmentId(region.parentCode, domain),
    domains: [domain],
    status: "open" as const,
  }));
}

function operator(seed: number, region: Region, kind: OperatorKind): Organisation {
  const id = organisationId(region.code, kind.ordinal);
  return {
    organisationId: id,
    name: region.name + kind.name,
    regionCode: region.code,
    parentId: departmentId(region.code, kind.domains[0]!),
    domains: [...kind.domains],
    status: draw(seed, PURPOSE.ORGANISATION, id) < RATES.organisationClosed ? "closed" : "open",
  };
}
