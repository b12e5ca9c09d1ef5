// Functions for statistics of several rounds: medians, quartiles and rounding.

/** Returns the median. If the number of values is even, this is the mean of the two middle values. */
export function median (values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Returns the lower and the upper quartile. */
export function quartiles (values: readonly number[]): readonly [lower: number, upper: number] {
  return [quantile(values, 0.25), quantile(values, 0.75)]
}

/** Rounds `value` to this many decimal places. */
export function rounded (value: number, digits = 0): number {
  return Number(value.toFixed(digits))
}

/** Rounds `value` to three significant digits. */
export function significant (value: number): number {
  return Number(value.toPrecision(3))
}

function quantile (values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('there is no quantile of nothing')
  const sorted = values.toSorted((one, other) => one - other)
  const at = (sorted.length - 1) * share
  const [below, above] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!]
  return below + (above - below) * (at - Math.floor(at))
}
