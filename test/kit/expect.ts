// Assertions about the results of calls. Each message names the call, the result that it must return, and the one that it did return.
import assert from 'node:assert/strict'
import type { StoredEntry } from '../../registry/backend.js'
import { show } from './outcome.js'

const NEAR_BYTES = 8

/** Fails unless `entry` is a hit with exactly these bytes. */
export function assertHolds (entry: StoredEntry | undefined, value: Uint8Array, call: string): void {
  assertEntry(entry, call, `the ${value.byteLength} bytes that were set`)
  const { value: came } = entry
  const at = firstDifference(came, value)
  assert.ok(at === undefined,
    `${call} must return the ${value.byteLength} bytes that were set; got ${came.byteLength} bytes that differ from byte ${at}: ${near(came, at)} instead of ${near(value, at)}`)
}

/** Fails unless `entry` is well-formed: its value is bytes, and its expiresAt is a number. */
export function assertEntry (entry: unknown, call: string, expected = 'an entry'): asserts entry is StoredEntry {
  const { value, expiresAt } = (entry ?? {}) as Partial<StoredEntry>
  assert.ok(entry !== undefined && entry !== null, `${call} must return ${expected}; got ${String(entry)}`)
  assert.ok(value instanceof Uint8Array,
    `${call} must return { value, expiresAt } with a Uint8Array (a Buffer is one) as value; got ${show(entry)}`)
  assert.ok(typeof expiresAt === 'number' && !Number.isNaN(expiresAt),
    `${call} must return { value, expiresAt } with epoch milliseconds as expiresAt; got ${String(expiresAt)}`)
}

/** Fails unless `entry` is a miss: undefined, and nothing else. */
export function assertMiss (entry: unknown, call: string): void {
  assert.ok(entry === undefined, `${call} must return undefined; got ${show(entry)}`)
}

/** Fails unless both arrays contain the same strings, in any order. */
export function assertSame (came: readonly string[], expected: readonly string[], call: string): void {
  assert.ok(Array.isArray(came), `${call} must return an array of strings; got ${show(came)}`)
  const [missing, more] = [without(expected, came), without(came, expected)]
  assert.ok(missing.length + more.length === 0,
    `${call}: ${missing.length > 0 ? `missing ${list(missing)}` : ''}${missing.length * more.length > 0 ? ', and ' : ''}${more.length > 0 ? `unexpected ${list(more)}` : ''}`)
}

const list = (texts: readonly string[]): string => texts.map((text) => JSON.stringify(text)).join(', ')

function without (all: readonly string[], some: readonly string[]): string[] {
  const left = [...some]
  return all.filter((one) => {
    const at = left.indexOf(one)
    if (at !== -1) left.splice(at, 1)
    return at === -1
  })
}

function firstDifference (one: Uint8Array, other: Uint8Array): number | undefined {
  if (one.byteLength === other.byteLength && Buffer.compare(one, other) === 0) return undefined
  let at = 0
  while (at < one.byteLength && one[at] === other[at]) at++
  return at
}

const near = (bytes: Uint8Array, at: number | undefined = 0): string =>
  at >= bytes.byteLength ? 'nothing' : `0x${Buffer.from(bytes.subarray(at, at + NEAR_BYTES)).toString('hex')}`
