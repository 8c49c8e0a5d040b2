// Plots as inline SVG: bars and lines, on logarithmic or linear scales, with the values beside
// them. Nothing is loaded, no script runs; text is text.

export interface Plot {
  width: number;
  height: number;
  /** Content of the <svg> element. */
  content: string;
}

export interface Bar {
  label: string;
  value: number;
  /** What stands behind the bar. */
  note: string;
  /** Drawn in the colour of what is measured, not of what it is compared with. */
  own: boolean;
}

export interface BarGroup {
  title: string;
  bars: Bar[];
}

export interface Line {
  label: string;
  points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  label: string;
  isLog: boolean;
  /** Positions with their text; positions between them follow. */
  ticks: readonly (readonly [at: number, text: string])[];
}

export interface LineChart {
  title: string;
  lines: readonly Line[];
  x: Axis;
  y: Axis;
}

const WIDTH = 920;
const LABEL_WIDTH = 210;
const NOTE_WIDTH = 150;
const BAR_HEIGHT = 18;
const BAR_GAP = 6;
const GROUP_GAP = 34;
const LINE_HEIGHT = 360;
const MARGIN = { left: 80, right: 190, top: 42, bottom: 50 };
const LEGEND_STEP = 20;
/** Told apart also by those who see colours otherwise (Okabe and Ito; the last three Tol). */
const COLOURS = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#555555",
  "#882255",
  "#999933",
  "#332288",
];
const OWN_COLOUR = COLOURS[0]!;
const OTHER_COLOUR = "#9aa5b1";
const GRID_COLOUR = "#d8dee4";

/** Horizontal bars on a logarithmic scale that begins at `from`, groups below each other. */
export function barChart(title: string, groups: readonly BarGroup[], from: number): Plot {
  const largest = Math.max(...groups.flatMap((group) => group.bars.map((bar) => bar.value)));
  const decades = Math.max(Math.log10(largest / from), 1);
  const barWidth = WIDTH - LABEL_WIDTH - NOTE_WIDTH;
  const parts = [text(0, 18, title, "title")];
  let y = 34;
  for (const group of groups) {
    parts.push(text(0, y + 16, group.title, "group"));
    y += 26;
    for (const bar of group.bars) {
      const part = Math.max(Math.log10(Math.max(bar.value, from) / from) / decades, 0.002);
      const fill = bar.own ? OWN_COLOUR : OTHER_COLOUR;
      const width = number(part * barWidth);
      const middle = y + BAR_HEIGHT - 5;
      parts.push(text(LABEL_WIDTH - 8, middle, bar.label, "end"));
      const place = `x="${LABEL_WIDTH}" y="${y}"`;
      parts.push(`<rect ${place} width="${width}" height="${BAR_HEIGHT}" fill="${fill}"/>`);
      parts.push(text(LABEL_WIDTH + part * barWidth + 8, middle, bar.note, ""));
      y += BAR_HEIGHT + BAR_GAP;
    }
    y += GROUP_GAP - 26;
  }
  return { width: WIDTH, height: y, content: parts.join("\n") };
}

/** Lines with their points, a legend at the right. */
export function lineChart(chart: LineChart): Plot {
  const { x, y } = chart;
  const right = WIDTH - MARGIN.right;
  const bottom = LINE_HEIGHT - MARGIN.bottom;
  const atX = scale(x, MARGIN.left, right);
  const atY = scale(y, bottom, MARGIN.top);
  const parts = [text(0, 18, chart.title, "title")];
  for (const [value, label] of x.ticks) {
    parts.push(grid(atX(value), MARGIN.top, atX(value), bottom));
    parts.push(text(atX(value), bottom + 18, label, "middle"));
  }
  for (const [value, label] of y.ticks) {
    parts.push(grid(MARGIN.left, atY(value), right, atY(value)));
    parts.push(text(MARGIN.left - 8, atY(value) + 4, label, "end"));
  }
  parts.push(text((MARGIN.left + right) / 2, bottom + 40, x.label, "middle"));
  parts.push(text(0, MARGIN.top - 8, y.label, ""));
  chart.lines.forEach((line, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const points = line.points.map(([px, py]) => [number(atX(px)), number(atY(py))] as const);
    const path = points.map(([px, py]) => `${px},${py}`).join(" ");
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [px, py] of points) {
      parts.push(`<circle cx="${px}" cy="${py}" r="3" fill="${colour}"/>`);
    }
    const legendY = MARGIN.top + 8 + i * LEGEND_STEP;
    parts.push(
      `<rect x="${right + 16}" y="${legendY - 9}" width="12" height="12" fill="${colour}"/>`,
    );
    parts.push(text(right + 34, legendY + 2, line.label, ""));
  });
  return { width: WIDTH, height: LINE_HEIGHT, content: parts.join("\n") };
}

/** Powers of ten from at most `from` to at least `to`. */
export function powerTicks(from: number, to: number): [number, string][] {
  const ticks: [number, string][] = [];
  const first = Math.floor(Math.log10(from));
  const last = Math.max(Math.ceil(Math.log10(to)), first + 1);
  for (let power = first; power <= last; power++) ticks.push([10 ** power, powerText(power)]);
  return ticks;
}

/** Round numbers from 0 to at least `to`. */
export function linearTicks(to: number): [number, string][] {
  const rough = to / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  const count = Math.ceil(to / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i): [number, string] => {
    const value = Number((i * step).toPrecision(6));
    return [value, value.toLocaleString("en-US")];
  });
}

/** A plot as an element of a page, or a file of its own. */
export function svg(plots: readonly Plot[]): string {
  const width = Math.max(...plots.map((plot) => plot.width));
  const height = plots.reduce((sum, plot) => sum + plot.height, 0);
  let y = 0;
  const parts = plots.map((plot) => {
    const part = `<g transform="translate(0 ${number(y)})">\n${plot.content}\n</g>`;
    y += plot.height;
    return part;
  });
  const box = `viewBox="0 0 ${width} ${number(height)}"`;
  const style = `<style>${STYLE}</style>`;
  const size = `width="${width}" height="${number(height)}"`;
  const paper = `<rect width="100%" height="100%" fill="#fff"/>`;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" role="img" ${size} ${box}>`;
  const title = "<title>What the bench measured</title>";
  return `${head}\n${title}\n${style}\n${paper}\n${parts.join("\n")}\n</svg>`;
}

/** Text that stands in HTML and SVG. */
export function escaped(value: string): string {
  return value.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = [
  "text{font:13px system-ui,sans-serif;fill:#1f2933}",
  "text.title{font-size:17px;font-weight:600}",
  "text.group{font-weight:600}",
  "text.end{text-anchor:end}",
  "text.middle{text-anchor:middle}",
].join("");

/** From a value of an axis to a coordinate. */
function scale(axis: Axis, from: number, to: number): (value: number) => number {
  const place = (value: number) => (axis.isLog ? Math.log10(value) : value);
  const low = place(axis.ticks[0]![0]);
  const high = place(axis.ticks.at(-1)![0]);
  return (value) => from + ((place(value) - low) / (high - low)) * (to - from);
}

function powerText(power: number): string {
  if (power >= 9) return `${10 ** (power - 9)} G`;
  if (power >= 6) return `${10 ** (power - 6)} M`;
  return (10 ** power).toLocaleString("en-US");
}

function text(x: number, y: number, value: string, kind: string): string {
  const attribute = kind === "" ? "" : ` class="${kind}"`;
  return `<text x="${number(x)}" y="${number(y)}"${attribute}>${escaped(value)}</text>`;
}

function grid(x1: number, y1: number, x2: number, y2: number): string {
  const from = `x1="${number(x1)}" y1="${number(y1)}"`;
  return `<line ${from} x2="${number(x2)}" y2="${number(y2)}" stroke="${GRID_COLOUR}"/>`;
}

function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}
