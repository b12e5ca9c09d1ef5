// What is kept under a key, and the bytes that it becomes: one JSON line, a newline, the body as it was sent.
import { crc32 } from 'node:zlib'
import { lruOf } from '../../registry/lru.js'
import { areFields } from '../http/stored-fields.js'
import { fieldIn } from '../http/field-values.js'

interface Kept {
  /** The key under which it was stored: bytes that were moved to another key are not taken for that key's. */
  readonly key: string
  /** Epoch milliseconds. */
  readonly storedAt: number
  /** Tag, stamp, tag, stamp ...: each tag's stamp when the fill began. */
  readonly tags?: readonly string[]
}

/** A response as the handler made it. */
export interface ResponseHead extends Kept {
  readonly kind: 'response'
  readonly status: number
  /** Name, value, name, value ...: the fields that the handler set. */
  readonly fields: readonly string[]
  /** Fields that stood before the handler ran and that it took away. */
  readonly removed?: readonly string[]
  /** Epoch milliseconds from which it is stale. */
  readonly freshUntil: number
  /** Until when it is served while a refresh runs, in epoch milliseconds; absent: not at all. */
  readonly staleUntil?: number
  /** Until when it is served where the handler fails, in epoch milliseconds; absent: not at all. */
  readonly staleOnErrorUntil?: number
  /** It is never served stale, whoever asks for that. */
  readonly mustRevalidate?: true
  /** Its ETag was made here, of the body: the handler doesn't know it. */
  readonly ownEtag?: true
  /** How old the response was already when it came, in milliseconds. */
  readonly ageMs: number
  /** Whether the handler gave its payload as text: other hooks are given it as they would have been. */
  readonly text: boolean
}

/** Under which a list of variants, once read, remembers the keys of those that were asked for, by the fields that select them. */
export const kKeys = Symbol('fastify-response-cache.keys')

/** Says that a key's responses vary, on what, and which variants there are. */
export interface VariantsHead extends Kept {
  readonly kind: 'variants'
  readonly names: readonly string[]
  /** Part of each variant's key: variants of a forgotten list can't be reached again. */
  readonly list: string
  /** The variants, the one stored last at the end. */
  readonly ids: readonly string[]
  [kKeys]?: Map<string, string>
}

/** A value of the data cache: JSON, or bytes as they are. */
export interface ValueHead extends Kept {
  readonly kind: 'value'
  readonly json: boolean
  /** Epoch milliseconds from which it is stale; absent: it is fresh for as long as it is there. */
  readonly freshUntil?: number
  /** Until when it is returned while a producer makes another one. */
  readonly staleUntil?: number
  /** Until when it is returned when the producer fails. */
  readonly staleOnErrorUntil?: number
}

/** Whether it is of any use once it is stale: served on conditions, or validated. */
export function isOfUseStale ({ staleUntil, staleOnErrorUntil, fields }: ResponseHead): boolean {
  return staleUntil !== undefined || staleOnErrorUntil !== undefined || fieldIn(fields, 'etag') !== undefined ||
    fieldIn(fields, 'last-modified') !== undefined
}

/** Until when something is fresh, and what comes after that; epoch milliseconds. */
interface Lives {
  readonly freshUntil: number
  readonly staleUntil?: number
  readonly staleOnErrorUntil?: number
}

/** The same, stale from this instant on if it was to be fresh for longer; what comes after its freshness begins then. */
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

/** RFC 9111 section 4.2.3: the age it came with, and the time that it rested here. `at`: now, in epoch milliseconds. */
export function ageSeconds ({ ageMs, storedAt }: ResponseHead, at: number): number {
  return Math.floor((ageMs + Math.max(at - storedAt, 0)) / 1_000)
}

export type Head = ResponseHead | VariantsHead | ValueHead

/** An entry that was read: its head, and its body, which nobody changes. */
export interface Entry<H extends Head = Head> {
  readonly head: H
  readonly body: Buffer
  /** What was sent of it last. */
  sent?: SentFields | undefined
  /** The 304 that says that this is what the client has; made when one was first asked for. */
  notModified?: Entry<ResponseHead> | undefined
}

/** Whether an entry that was read, if there is one, is of this kind. */
export function isOf<K extends Head['kind']> (entry: Entry | undefined, kind: K): entry is Entry<Extract<Head, { kind: K }>> {
  return entry?.head.kind === kind
}

/** Header fields of a response from the cache, in the second for which they hold, as `writeHead` takes them. Copied for each response. */
export interface SentFields {
  readonly age: number
  readonly status: string
  /** Whether they say that ranges are served. */
  readonly servesRanges: boolean
  readonly fields: Record<string, string | string[]>
  /** Whether one of them has several lines. */
  readonly hasLists: boolean
}

// The format number and the checksum stand at fixed places; the checksum is over everything behind it.
const MAGIC = '{"frc":1,"sum":"'
const SUM_CHARACTERS = 8
const SUMMED_FROM = MAGIC.length + SUM_CHARACTERS
const NO_SUM = MAGIC.padEnd(SUMMED_FROM, '0')
const NEWLINE = 10
const HEADS_REMEMBERED = 4096
const LONGEST_HEAD_REMEMBERED_BYTES = 4096

/** Turns entries into bytes and back. Remembers what was read: by the bytes object, and heads by their own text. */
export class EntryCodec {
  readonly #byBytes = new WeakMap<Uint8Array, Entry>()
  readonly #byText = lruOf<Head>(HEADS_REMEMBERED)

  encode (head: Head, body: Buffer | string): Buffer {
    const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength
    const line = `","bodyBytes":${bodyBytes},${JSON.stringify(head).slice(1)}\n`
    const bodyAt = SUMMED_FROM + Buffer.byteLength(line)
    // Not from the pool: a slice of it would keep all of it alive.
    const bytes = Buffer.allocUnsafeSlow(bodyAt + bodyBytes)
    if (typeof body === 'string') bytes.write(NO_SUM + line + body)
    else {
      bytes.write(NO_SUM + line)
      body.copy(bytes, bodyAt)
    }
    bytes.write(checksum(bytes), MAGIC.length, 'latin1')
    return bytes
  }

  /** The entry in `value`, if it was stored under `key`; undefined for bytes that are damaged, foreign or another key's. */
  decode (value: Uint8Array, key: string): Entry | undefined {
    const known = this.#byBytes.get(value)
    if (known !== undefined) return known.head.key === key ? known : undefined
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    const end = bytes.indexOf(NEWLINE)
    if (end < SUMMED_FROM || bytes.toString('latin1', 0, SUMMED_FROM) !== MAGIC + checksum(bytes)) return undefined
    const head = this.#head(bytes, end)
    if (head?.key !== key) return undefined
    // With all its properties from the start: what every hit reads is of one shape.
    const entry: Entry = { head, body: bytes.subarray(end + 1), sent: undefined, notModified: undefined }
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

/** A checksum says that the bytes are whole, not that we wrote them: every field is looked at before it is believed. */
function parseHead (text: string, bodyBytes: number): Head | undefined {
  let head: Record<string, unknown>
  try {
    // An object, or nothing that can be parsed: it begins with the format number.
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
      [head.mustRevalidate, head.ownEtag].every((flag) => flag === undefined || flag === true)],
  ['variants', (head: Record<string, unknown>) => isTexts(head.names) && isText(head.list) && isTexts(head.ids)],
  ['value', (head: Record<string, unknown>) => typeof head.json === 'boolean' && [
    head.freshUntil, head.staleUntil, head.staleOnErrorUntil
  ].every((at) => at === undefined || isInstant(at))]
])
