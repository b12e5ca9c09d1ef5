// Checks that a value is read from the cache as it was set: JSON must neither drop nor change any part of it.
import { isRecord, show } from '../../registry/check.js'

/** A part of a value that JSON can't represent. */
interface Unfit {
  /** What it is and where: `a Map at value.items[0]`. */
  readonly what: string
  /** What to store instead. */
  readonly instead: string
}

const DEEPEST = 1_000

/**
 * Returns the first part of `value` that JSON would drop or change, or undefined if there is none. Properties that are undefined are
 * dropped, as everywhere in JSON.
 */
export function unfitPart (value: unknown, path = 'value', depth = 0): Unfit | undefined {
  switch (typeof value) {
    case 'string': case 'boolean': return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : { what: `${value} at ${path}`, instead: 'null or a finite number' }
    case 'bigint': return { what: `a BigInt at ${path}`, instead: 'its text, String(value)' }
    case 'object': return value === null ? undefined : unfitObject(value, path, depth)
    default: return { what: `${value === undefined ? 'undefined' : `a ${typeof value}`} at ${path}`, instead: 'null, or leave it out' }
  }
}

function unfitObject (value: object, path: string, depth: number): Unfit | undefined {
  if (depth >= DEEPEST) return { what: 'a circular or very deep object', instead: 'one that ends' }
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) {
      const unfit = unfitPart(value[at], `${path}[${at}]`, depth + 1)
      if (unfit !== undefined) return unfit
    }
    return undefined
  }
  if (!isRecord(value)) return { what: `${nameOf(value)} at ${path}`, instead: insteadOf(value) }
  for (const name of Object.keys(value)) {
    const unfit = value[name] === undefined ? undefined : unfitPart(value[name], `${path}.${name}`, depth + 1)
    if (unfit !== undefined) return unfit
  }
  return undefined
}

function nameOf (value: object): string {
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? `a ${name}` : show(value)
}

function insteadOf (value: object): string {
  if (value instanceof Map) return 'an array of its entries, [...map]'
  if (value instanceof Set) return 'an array, [...set]'
  if (value instanceof Date) return 'its text, date.toISOString(), or its time, date.getTime()'
  if (value instanceof Uint8Array) return 'the bytes themselves as the value, or their text, bytes.toString(\'base64\')'
  return 'a plain object with what is needed of it, { ...value }'
}
