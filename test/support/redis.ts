// A Redis backend for a test: a clock that stands still, short timeouts, and entries.
import type { Test } from 'tap'
import redis, { type RedisOptions } from '../../backends/redis.js'
import { Background } from '../../registry/background.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import { testClock } from './clock.js'

/** The timeout of a call in tests in which servers hang. */
export const SHORT_MS = 150

const LIFE_MS = 60_000

const silent = { debug () {}, info () {}, warn () {}, error () {} }

export async function openRedis (
  t: Test, options: RedisOptions, { now = testClock().now, decoration }: { now?: () => number, decoration?: (name: string) => unknown } = {}
): Promise<Required<CacheBackend>> {
  const backend = await redis.create(options, {
    now,
    log: silent,
    signal: new AbortController().signal,
    background: new Background(silent),
    open: () => { throw new Error('opens no other backend') },
    ...(decoration !== undefined && { decoration })
  }) as Required<CacheBackend>
  t.teardown(() => backend.close())
  return backend
}

/** Options of a client whose calls fail soon. */
export function soon (port: number, more: object = {}): RedisOptions {
  return {
    connection: { host: '127.0.0.1', port, commandTimeout: SHORT_MS, connectTimeout: SHORT_MS, socketTimeout: SHORT_MS * 2, ...more }
  }
}

/** An entry that lives for a minute on the clock that stands still. */
export function entry (text: string, lifeMs = LIFE_MS): StoredEntry {
  return { value: Buffer.from(text), expiresAt: testClock().now() + lifeMs }
}
