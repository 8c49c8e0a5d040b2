// The counties of Hainan: division codes of GB/T 2260 and the people counted in each by the census
// of 2020 (seventh national census). The census bulletin has no figure for the districts of Haikou,
// Sanya and Sansha: they share their city's evenly. Danzhou is a city without districts.

export interface Region {
  /** Six digits. */
  code: number;
  name: string;
  /** The region above it: a city of districts, or the province. */
  parentCode: number;
  population: number;
}

export const PROVINCE_CODE = 460000;
export const PROVINCE_NAME = "海南省";

/** Cities with districts of their own. */
export const CITIES: readonly Region[] = [
  { code: 460100, name: "海口市", parentCode: 460000, population: 2_873_358 },
  { code: 460200, name: "三亚市", parentCode: 460000, population: 1_031_396 },
  { code: 460300, name: "三沙市", parentCode: 460000, population: 2_333 },
];

/** Counties, county-level cities and districts: where holders live and terminals stand. */
export const COUNTIES: readonly Region[] = [
  { code: 460105, name: "秀英区", parentCode: 460100, population: 718_340 },
  { code: 460106, name: "龙华区", parentCode: 460100, population: 718_340 },
  { code: 460107, name: "琼山区", parentCode: 460100, population: 718_339 },
  { code: 460108, name: "美兰区", parentCode: 460100, population: 718_339 },
  { code: 460202, name: "海棠区", parentCode: 460200, population: 257_849 },
  { code: 460203, name: "吉阳区", parentCode: 460200, population: 257_849 },
  { code: 460204, name: "天涯区", parentCode: 460200, population: 257_849 },
  { code: 460205, name: "崖州区", parentCode: 460200, population: 257_849 },
  { code: 460321, name: "西沙区", parentCode: 460300, population: 1_167 },
  { code: 460322, name: "南沙区", parentCode: 460300, population: 1_166 },
  { code: 460400, name: "儋州市", parentCode: 460000, population: 954_259 },
  { code: 469001, name: "五指山市", parentCode: 460000, population: 112_269 },
  { code: 469002, name: "琼海市", parentCode: 460000, population: 528_238 },
  { code: 469005, name: "文昌市", parentCode: 460000, population: 560_894 },
  { code: 469006, name: "万宁市", parentCode: 460000, population: 545_992 },
  { code: 469007, name: "东方市", parentCode: 460000, population: 444_458 },
  { code: 469021, name: "定安县", parentCode: 460000, population: 284_690 },
  { code: 469022, name: "屯昌县", parentCode: 460000, population: 255_335 },
  { code: 469023, name: "澄迈县", parentCode: 460000, population: 497_953 },
  { code: 469024, name: "临高县", parentCode: 460000, population: 420_594 },
  { code: 469025, name: "白沙黎族自治县", parentCode: 460000, population: 164_699 },
  { code: 469026, name: "昌江黎族自治县", parentCode: 460000, population: 232_124 },
  { code: 469027, name: "乐东黎族自治县", parentCode: 460000, population: 464_435 },
  { code: 469028, name: "陵水黎族自治县", parentCode: 460000, population: 372_511 },
  { code: 469029, name: "保亭黎族苗族自治县", parentCode: 460000, population: 156_108 },
  { code: 469030, name: "琼中黎族苗族自治县", parentCode: 460000, population: 179_586 },
];
