/** Where in a picture the times and values of a chart are, in pixels. */

import { marks, type Unit } from "./scale";

export interface Series {
  readonly name: string;
  /** A value for each time; null where nothing is known. */
  readonly values: readonly (number | null)[];
}

const TOP = 10;
const RIGHT = 12;
const BOTTOM = 24;
/** Of a mark's letters, about, and of the space beside them. */
const LETTER = 6.3;
const BESIDE = 16;

export class Plot {
  readonly times: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly top = TOP;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
  /** The values that have a mark, from 0 on. */
  readonly levels: readonly number[];
  readonly from: number;
  readonly to: number;
  /** How wide the share of one time is. */
  readonly slot: number;
  readonly #inset: number;

  /** With `slots` each time has a share of the width and stands in its middle; else the first and last are at the ends. */
  constructor(
    times: readonly number[],
    series: readonly Series[],
    unit: Unit | "bytes",
    format: (value: number) => string,
    [width, height]: readonly [number, number],
    slots: boolean,
  ) {
    this.times = times;
    this.width = width;
    this.height = height;
    const most = Math.max(0, ...series.map(({ values }) => Math.max(...values.map((value) => value ?? 0))));
    this.levels = marks(most, 4, unit === "bytes" ? "number" : unit);
    this.left = BESIDE + LETTER * Math.max(...this.levels.map((level) => format(level).length));
    this.right = width - RIGHT;
    this.bottom = height - BOTTOM;
    this.from = times[0] ?? 0;
    this.to = times.at(-1) ?? 0;
    this.slot = (this.right - this.left) / Math.max(1, times.length);
    this.#inset = slots ? this.slot / 2 : 0;
  }

  x(time: number): number {
    const share = this.to > this.from ? (time - this.from) / (this.to - this.from) : 0.5;
    return this.left + this.#inset + share * (this.right - this.left - 2 * this.#inset);
  }

  y(value: number): number {
    return this.bottom - (value / (this.levels.at(-1) || 1)) * (this.bottom - this.top);
  }

  /** Return which time is nearest to a place from the left. */
  nearest(offset: number): number {
    let best = 0;
    this.times.forEach((time, at) => {
      if (Math.abs(this.x(time) - offset) < Math.abs(this.x(this.times[best] ?? 0) - offset)) best = at;
    });
    return best;
  }
}
