// Holders by index. Indexes of one region of first registration stand together (a stratum), so
// that a holder who lives near a terminal can be drawn; within it birth dates are mixed.
//
// The invariant: no two indexes have one ID number. A stratum's ranks are dealt to the days of the
// age pyramid in order, and a rank's place within its day is mapped one to one to the sequence.

import { assert } from "../../protocol/assert.js";
import { dateOf, dayOfText, NO_DAY } from "../dates.js";
import { idNumberCheck } from "../id-number.js";
import { apportion, draw, hash32, PURPOSE, permuteBelow, shareAt, startsOf } from "./random.js";
import { AGE_GROUP_YEARS, AGE_PYRAMID, RATES } from "./rates.js";
import { COUNTIES } from "./regions.js";

const HOLDERS_MAX = 100_000_000;
const DAYS_PER_GROUP = Math.round(AGE_GROUP_YEARS * 365.25);
const SEQUENCES = 999;
/** Has no divisor in common with SEQUENCES, so that steps of it meet every sequence once. */
const SEQUENCE_STEP = 382;

/** Where incomers were first registered (GB/T 2260), with weights: mostly neighbours. */
const MAINLAND_ORIGINS: readonly (readonly [code: number, weight: number])[] = [
  [440825, 9],
  [440882, 8],
  [440883, 6],
  [440104, 4],
  [450102, 7],
  [430102, 6],
  [430602, 5],
  [510104, 5],
  [511302, 6],
  [500103, 6],
  [410102, 4],
  [411503, 6],
  [420102, 5],
  [360102, 5],
  [350102, 3],
  [230102, 5],
  [230203, 4],
  [220102, 4],
  [210102, 3],
  [110105, 2],
  [310104, 2],
  [340102, 3],
  [370102, 3],
  [610102, 3],
  [120101, 1],
];

export interface Holder {
  index: number;
  idNumber: string;
  /** County of residence, which issues the cards. */
  regionCode: number;
}

export class Holders {
  readonly count: number;
  private readonly seed: number;
  private readonly today: number;
  private readonly origins: readonly number[];
  private readonly starts: readonly number[];
  private readonly ageStarts: readonly (readonly number[])[];
  private readonly residenceStarts: readonly number[];

  /** `today` (YYYYMMDD) is the day ages are counted from. Throws on values out of range. */
  constructor(seed: number, count: number, today: number) {
    if (!(Number.isInteger(count) && count >= 1 && count <= HOLDERS_MAX)) {
      throw new RangeError("a province has 1 to 100,000,000 holders");
    }
    this.seed = seed;
    this.count = count;
    this.today = dayOfText(String(today));
    if (this.today === NO_DAY) throw new RangeError("the province's day is no date (YYYYMMDD)");
    const people = COUNTIES.map((county) => county.population);
    const [local, mainland] = apportion(count, [1 - RATES.mainlandHolders, RATES.mainlandHolders]);
    const shares = [
      ...apportion(local!, people),
      ...apportion(
        mainland!,
        MAINLAND_ORIGINS.map(([, weight]) => weight),
      ),
    ];
    this.origins = [...COUNTIES.map((county) => county.code), ...MAINLAND_ORIGINS.map(([c]) => c)];
    this.starts = startsOf(shares);
    this.ageStarts = shares.map((share) => startsOf(apportion(share, AGE_PYRAMID)));
    this.residenceStarts = startsOf(people);
  }

  /** The holder of an index in 0..count-1, always the same. */
  at(index: number): Holder {
    assert(index >= 0 && index < this.count, "a holder's index lies within the province");
    const stratum = shareAt(this.starts, index);
    const size = this.starts[stratum + 1]! - this.starts[stratum]!;
    const purpose = PURPOSE.BIRTH * 1024 + stratum;
    const rank = permuteBelow(this.seed, purpose, size, index - this.starts[stratum]!);
    const digits = String(this.origins[stratum]!) + this.birthAndSequence(stratum, rank);
    return {
      index,
      idNumber: digits + idNumberCheck(digits),
      regionCode: stratum < COUNTIES.length ? this.origins[stratum]! : this.residence(index),
    };
  }

  /** Indexes [from, to) of holders born and living in a county (by its place in COUNTIES). */
  locals(county: number): [from: number, to: number] {
    return [this.starts[county]!, this.starts[county + 1]!];
  }

  /** Eight digits of birth date and three of sequence. */
  private birthAndSequence(stratum: number, rank: number): string {
    const starts = this.ageStarts[stratum]!;
    const group = shareAt(starts, rank);
    const size = starts[group + 1]! - starts[group]!;
    const place = rank - starts[group]!;
    const dayInGroup = Math.floor((place * DAYS_PER_GROUP) / size);
    const placeInDay = place - Math.ceil((dayInGroup * size) / DAYS_PER_GROUP);
    assert(placeInDay >= 0 && placeInDay < SEQUENCES, "a day of birth has sequences enough");
    const day = this.today - 1 - group * DAYS_PER_GROUP - dayInGroup;
    const first = hash32(
      this.seed,
      PURPOSE.SEQUENCE,
      stratum * 40_000 + group * 2_000 + dayInGroup,
    );
    const sequence = 1 + (((first % SEQUENCES) + placeInDay * SEQUENCE_STEP) % SEQUENCES);
    return String(dateOf(day)) + String(sequence).padStart(3, "0");
  }

  private residence(index: number): number {
    const people = this.residenceStarts.at(-1)!;
    const person = draw(this.seed, PURPOSE.RESIDENCE, index) * people;
    return COUNTIES[shareAt(this.residenceStarts, person)]!.code;
  }
}
