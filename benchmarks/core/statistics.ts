// Statistics of several rounds: medians, quartiles and rounding.

/** The median; the mean of the two middle values if there is an even number of them. */
export function median (values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The lower and the upper quartile. */
export function quartiles (values: readonly number[]): readonly [lower: number, upper: number] {
  return [quantile(values, 0.25), quantile(values, 0.75)]
}

/** `value` with so many decimal places. */
export function rounded (value: number, digits = 0): number {
  return Number(value.toFixed(digits))
}

/** `value` with three significant digits. */
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
