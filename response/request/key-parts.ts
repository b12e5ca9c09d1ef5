// Encodes header fields and parsed bodies as parts of keys. Different values remain different, even after several parts are joined.
import { isRecord } from '../../registry/check.js'

/** The value of a header field, or a list of its lines if there are several. */
export type FieldLines = string | readonly string[] | undefined

export const ABSENT = '-'

/** Returns the value with its length in front, so that it is clear where the next part begins. */
export function lengthPrefixed (value: string): string {
  return `${value.length}:${value}`
}

/** Encodes a field as a part of a key. Different values have different texts. */
export function encodeField (field: FieldLines): string {
  if (field === undefined) return ABSENT
  return typeof field === 'string' ? lengthPrefixed(field) : `+${lengthPrefixed(field.map(lengthPrefixed).join(''))}`
}

export const LARGEST_KEY_BODY_BYTES = 1024 * 1024

/** Encodes the parsed body as a part of a key. Returns undefined if JSON can't represent the body exactly, or if it is too large. */
export function bodyText (body: unknown): string | undefined {
  if (body === undefined) return ABSENT
  if (Buffer.isBuffer(body)) return body.byteLength > LARGEST_KEY_BODY_BYTES ? undefined : `b${lengthPrefixed(body.toString('latin1'))}`
  const json = exactJson(body)
  return json === undefined || json.length > LARGEST_KEY_BODY_BYTES ? undefined : `j${lengthPrefixed(json)}`
}

/**
 * Returns a parsed value as JSON, or undefined if JSON would lose something. For example, `1e999` is parsed as Infinity, which JSON writes
 * as `null`.
 */
export function exactJson (body: unknown): string | undefined {
  let isExact = true
  try {
    const json = JSON.stringify(body, function (this: Record<string, unknown>, name, item: unknown) {
      isExact &&= isJson(this[name])
      return isExact ? item : undefined
    })
    return isExact ? json : undefined
  } catch {
    // The value is circular, or nested too deeply for the stack. Parsers may accept deeper nesting than JSON.stringify.
    return undefined
  }
}

function isJson (item: unknown): boolean {
  if (typeof item === 'number') return Number.isFinite(item) && !Object.is(item, -0)
  if (typeof item !== 'object') return typeof item === 'string' || typeof item === 'boolean'
  return item === null || (typeof (item as { toJSON?: unknown }).toJSON !== 'function' && (Array.isArray(item) || isPlain(item)))
}

/** Returns whether JSON includes all properties of the object. */
function isPlain (item: object): boolean {
  return isRecord(item) && Reflect.ownKeys(item).length === Object.keys(item).length
}
