// Parts of keys: texts that are the same exactly when what they stand for is, a header field or a parsed request body, and that can't run
// into each other.
import { isRecord } from '../../registry/check.js'

/** A field's value, or its lines. */
export type FieldLines = string | readonly string[] | undefined

export const ABSENT = '-'

/** A part that can't run into the next one: its length stands before it. */
export function lengthPrefixed (value: string): string {
  return `${value.length}:${value}`
}

/** A field's value as a part: no other value has the same. */
export function encodeField (field: FieldLines): string {
  if (field === undefined) return ABSENT
  return typeof field === 'string' ? lengthPrefixed(field) : `+${lengthPrefixed(field.map(lengthPrefixed).join(''))}`
}

export const LARGEST_KEY_BODY_BYTES = 1024 * 1024

/** The parsed body as a part; undefined for one that can't be told apart beyond doubt. */
export function bodyText (body: unknown): string | undefined {
  if (body === undefined) return ABSENT
  if (Buffer.isBuffer(body)) return body.byteLength > LARGEST_KEY_BODY_BYTES ? undefined : `b${lengthPrefixed(body.toString('latin1'))}`
  const json = exactJson(body)
  return json === undefined || json.length > LARGEST_KEY_BODY_BYTES ? undefined : `j${lengthPrefixed(json)}`
}

/**
 * JSON of a parsed value; undefined where it doesn't say all of it (`1e999`, which is parsed, becomes `null` in it), or where there is
 * none.
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
    // Nested deeper than the stack, which parsing is not bound by; or in a circle.
    return undefined
  }
}

function isJson (item: unknown): boolean {
  if (typeof item === 'number') return Number.isFinite(item) && !Object.is(item, -0)
  if (typeof item !== 'object') return typeof item === 'string' || typeof item === 'boolean'
  return item === null || (typeof (item as { toJSON?: unknown }).toJSON !== 'function' && (Array.isArray(item) || isPlain(item)))
}

/** Whether JSON leaves no property of it out. */
function isPlain (item: object): boolean {
  return isRecord(item) && Reflect.ownKeys(item).length === Object.keys(item).length
}
