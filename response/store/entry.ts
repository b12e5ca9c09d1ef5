// Entries and their encoding: one line of JSON, a newline, and the body as it was sent.
import { crc32 } from 'node:zlib'
import { lruOf } from '../../registry/lru.js'
import { areFields } from '../http/stored-fields.js'
import { fieldIn } from '../http/field-values.js'

interface Kept {
  /** The key under which the entry was stored. If the bytes are found under another key, they are not used. */
  readonly key: string
  /** When the entry was stored, in epoch milliseconds. */
  readonly storedAt: number
  /** The entry's tags, each followed by its stamps at the time when the fill began. */
  readonly tags?: readonly string[]
}

/** The head of a stored response, as the handler returned it. */
export interface ResponseHead extends Kept {
  readonly kind: 'response'
  readonly status: number
  /** The fields that the handler set: name, value, name, value ... */
  readonly fields: readonly string[]
  /** Names of fields that hooks set before the handler ran, and that the handler removed. */
  readonly removed?: readonly string[]
  /** When the response becomes stale, in epoch milliseconds. */
  readonly freshUntil: number
  /** The time until which the response is served stale while a refresh runs, in epoch milliseconds; absent if it never is. */
  readonly staleUntil?: number
  /** The time until which the response is served stale if the handler fails, in epoch milliseconds; absent if it never is. */
  readonly staleOnErrorUntil?: number
  /** Present if the response is never served stale, even if a request accepts stale responses. */
  readonly mustRevalidate?: true
  /** Present if `reply.cache()` said how long the response is fresh. */
  readonly ownTtl?: true
  /** Present if `reply.cache()` chose the response's tags, instead of the route's. */
  readonly ownTags?: true
  /** Present if the cache computed the response's ETag from the body, so that the handler doesn't know this ETag. */
  readonly ownEtag?: true
  /** How old the response was when it was stored, in milliseconds. */
  readonly ageMs: number
  /** Whether the handler's payload was text. Hooks then receive text for a hit too. */
  readonly text: boolean
}

/** The property of a decoded list of variants that remembers the variants' keys by the values of the selecting header fields. */
export const kKeys = Symbol('fastify-response-cache.keys')

/** The list of variants under a key: the fields on which the key's responses vary, and the ids of the stored variants. */
export interface VariantsHead extends Kept {
  readonly kind: 'variants'
  readonly names: readonly string[]
  /**
   * The list's id, which is part of each variant's key. If a list with another id replaces this one, the old variants can no longer be
   * found.
   */
  readonly list: string
  /** The ids of the variants. The variant that was stored last is at the end. */
  readonly ids: readonly string[]
  [kKeys]?: Map<string, string>
}

/** A value of the data cache: JSON or bytes. */
export interface ValueHead extends Kept {
  readonly kind: 'value'
  readonly json: boolean
  /** When the value becomes stale, in epoch milliseconds; absent if it is fresh until it expires. */
  readonly freshUntil?: number
  /** The time until which the value is returned stale while a producer creates a new one, in epoch milliseconds; absent if it never is. */
  readonly staleUntil?: number
  /** The time until which the value is returned stale if the producer fails, in epoch milliseconds; absent if it never is. */
  readonly staleOnErrorUntil?: number
}

/** Returns whether a response is still useful when it is stale: it may be served on some condition, or it can be validated. */
export function isOfUseStale ({ staleUntil, staleOnErrorUntil, fields }: ResponseHead): boolean {
  return staleUntil !== undefined || staleOnErrorUntil !== undefined || fieldIn(fields, 'etag') !== undefined ||
    fieldIn(fields, 'last-modified') !== undefined
}

/** The time until which an entry is fresh, and the times until which it is used stale, in epoch milliseconds. */
interface Lives {
  readonly freshUntil: number
  readonly staleUntil?: number
  readonly staleOnErrorUntil?: number
}

/**
 * Returns a copy of the head that becomes stale at `at`, if not earlier. If it becomes stale earlier than the head would have, the periods
 * in which it may be used stale end earlier by the same amount.
 */
export function staleFrom<T extends Lives> (head: T, at: number): T {
  const freshUntil = Math.min(head.freshUntil, at)
  const earlierMs = head.freshUntil - freshUntil
  return {
    ...head,
    freshUntil,
    ...(head.staleUntil !== undefined && { staleUntil: head.staleUntil - earlierMs }),
    ...(head.staleOnErrorUntil !== undefined && { staleOnErrorUntil: head.staleOnErrorUntil - earlierMs })
  }
}

/**
 * Returns the age of a response in seconds (RFC 9111 section 4.2.3): its age when it was stored, plus the time since then. `at` is the
 * current time in epoch milliseconds.
 */
export function ageSeconds ({ ageMs, storedAt }: ResponseHead, at: number): number {
  return Math.floor((ageMs + Math.max(at - storedAt, 0)) / 1_000)
}

export type Head = ResponseHead | VariantsHead | ValueHead

/** A decoded entry, whose body must not be changed. */
export interface Entry<H extends Head = Head> {
  readonly head: H
  readonly body: Buffer
  /** The header fields with which the response was last sent. */
  sent?: SentFields | undefined
  /** The 304 for this response, which is created when it is first needed. */
  notModified?: Entry<ResponseHead> | undefined
  /** The list of the route's tags of which it is known that this response has all. */
  listed?: readonly string[] | undefined
  /** This response without the ETag that the cache computed, which is created when it is first needed. */
  untagged?: Entry<ResponseHead> | undefined
}

/** Returns whether there is an entry and its head is of this kind. */
export function isOf<K extends Head['kind']> (entry: Entry | undefined, kind: K): entry is Entry<Extract<Head, { kind: K }>> {
  return entry?.head.kind === kind
}

/**
 * Header fields of a response from the cache, in the form that `writeHead` accepts. Because of Age, they are valid for one second. They are
 * copied for each response.
 */
export interface SentFields {
  readonly age: number
  readonly status: string
  /** Whether the fields announce ranges. */
  readonly servesRanges: boolean
  readonly fields: Record<string, string | string[]>
  /** Whether any of the fields has several lines. */
  readonly hasLists: boolean
}

// The format number and the checksum are at fixed positions. The checksum covers all bytes after it.
const MAGIC = '{"frc":1,"sum":"'
const SUM_CHARACTERS = 8
const SUMMED_FROM = MAGIC.length + SUM_CHARACTERS
const NO_SUM = MAGIC.padEnd(SUMMED_FROM, '0')
const NEWLINE = 10
const HEADS_REMEMBERED = 4096
const LONGEST_HEAD_REMEMBERED_BYTES = 4096

/** Encodes and decodes entries. Remembers decoded entries by the object that holds their bytes, and heads by their text. */
export class EntryCodec {
  readonly #byBytes = new WeakMap<Uint8Array, Entry>()
  readonly #byText = lruOf<Head>(HEADS_REMEMBERED)

  encode (head: Head, body: Buffer | string): Buffer {
    const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength
    const line = `","bodyBytes":${bodyBytes},${JSON.stringify(head).slice(1)}\n`
    const bodyAt = SUMMED_FROM + Buffer.byteLength(line)
    // The bytes are not allocated from Node's shared pool, because a small slice would keep the whole pool in memory.
    const bytes = Buffer.allocUnsafeSlow(bodyAt + bodyBytes)
    if (typeof body === 'string') bytes.write(NO_SUM + line + body)
    else {
      bytes.write(NO_SUM + line)
      body.copy(bytes, bodyAt)
    }
    bytes.write(checksum(bytes), MAGIC.length, 'latin1')
    return bytes
  }

  /** Decodes the entry in `value`. Returns undefined if it was not stored under `key`, or if the bytes are damaged or not an entry. */
  decode (value: Uint8Array, key: string): Entry | undefined {
    const known = this.#byBytes.get(value)
    if (known !== undefined) return known.head.key === key ? known : undefined
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    const end = bytes.indexOf(NEWLINE)
    if (end < SUMMED_FROM || bytes.toString('latin1', 0, SUMMED_FROM) !== MAGIC + checksum(bytes)) return undefined
    const head = this.#head(bytes, end)
    if (head?.key !== key) return undefined
    // All properties are set from the start, so that all entries have one shape, and V8 reads them fast.
    const body = bytes.subarray(end + 1)
    const entry: Entry = { head, body, sent: undefined, notModified: undefined, listed: undefined, untagged: undefined }
    this.#byBytes.set(value, entry)
    return entry
  }

  #head (bytes: Buffer, end: number): Head | undefined {
    const text = bytes.toString('utf8', 0, end)
    const known = end <= LONGEST_HEAD_REMEMBERED_BYTES ? this.#byText.get(text) : undefined
    if (known !== undefined) return known
    const head = parseHead(text, bytes.byteLength - end - 1)
    if (head !== undefined && end <= LONGEST_HEAD_REMEMBERED_BYTES) this.#byText.set(text, head)
    return head
  }
}

function checksum (bytes: Buffer): string {
  return crc32(bytes.subarray(SUMMED_FROM)).toString(16).padStart(SUM_CHARACTERS, '0')
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
const isInstant = (value: unknown): boolean => Number.isFinite(value) && (value as number) >= 0

/** Parses a head and checks every field, because the checksum shows only that the bytes are intact, not that this cache wrote them. */
function parseHead (text: string, bodyBytes: number): Head | undefined {
  let head: Record<string, unknown>
  try {
    // The text begins with MAGIC, so it is an object if it can be parsed.
    head = JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
  if (head.bodyBytes !== bodyBytes || !isText(head.key) || !isInstant(head.storedAt)) return undefined
  if (head.tags !== undefined && !(isTexts(head.tags) && (head.tags as string[]).length % 2 === 0)) return undefined
  return KINDS.get(head.kind)?.(head) === true ? head as unknown as Head : undefined
}

const KINDS: ReadonlyMap<unknown, (head: Record<string, unknown>) => boolean> = new Map([
  ['response',
    (head: Record<string, unknown>) => Number.isInteger(head.status) && (head.status as number) >= 200 && (head.status as number) <= 599 &&
      areFields(head.fields) && (head.removed === undefined || isTexts(head.removed)) &&
      isInstant(head.freshUntil) && isInstant(head.ageMs) && typeof head.text === 'boolean' &&
      [head.staleUntil, head.staleOnErrorUntil].every((instant) => instant === undefined || isInstant(instant)) &&
      [head.mustRevalidate, head.ownEtag, head.ownTtl, head.ownTags].every((flag) => flag === undefined || flag === true)],
  ['variants', (head: Record<string, unknown>) => isTexts(head.names) && isText(head.list) && isTexts(head.ids)],
  ['value', (head: Record<string, unknown>) => typeof head.json === 'boolean' && [
    head.freshUntil, head.staleUntil, head.staleOnErrorUntil
  ].every((at) => at === undefined || isInstant(at))]
])
