// Values of the data cache as they are kept, and as they are read.

/** undefined for what has no JSON: a function, a BigInt, a circle. */
export function json (value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** A value of one's own, as whoever reads the stored one is given it. What can't be stored is nobody's own. */
export function asRead (value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value)
  const text = json(value)
  return text === undefined ? value : JSON.parse(text)
}
