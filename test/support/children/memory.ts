// A process that fills the memory backend, collects garbage and prints the memory used. Arguments: `count`, `valueBytes`, `maxBytes`.
import { builtIns } from '../../../backends/index.js'

const [count, valueBytes, maxBytes] = process.argv.slice(2).map(Number) as [number, number, number]

// Like the cache, it remembers what was parsed from the bytes for as long as the bytes are stored.
const remembered = new WeakMap<Uint8Array, object>()

function rememberedOf (key: string, number: number, bytes: Buffer): object {
  const head = {
    kind: 'response',
    key,
    status: 200,
    storedAt: number * 1_000,
    freshUntil: number * 2_000,
    fields: ['content-type', 'application/json; charset=utf-8', 'etag', `"${number}"`],
    tags: ['items', `stamp ${number}`]
  }
  return { head, body: bytes.subarray(0) }
}

function usedBytes (): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const backend = await builtIns().open({ backend: 'memory', options: { maxBytes } })
const before = usedBytes()
const expiresAt = Date.now() + 86_400_000
for (let number = 0; number < count; number++) {
  const key = `GET http://localhost/items/${number}`
  const value = Buffer.allocUnsafeSlow(valueBytes)
  remembered.set(value, rememberedOf(key, number, value))
  // Awaited only if it is a promise, because a million turns would take most of the time.
  const later = backend.set(key, { value, expiresAt })
  if (later !== undefined) await later
}
const used = usedBytes() - before
const stats = await backend.stats?.()
console.log(JSON.stringify({
  entries: stats?.entries, bytes: stats?.bytes, usedBytes: used, stillRemembers: remembered instanceof WeakMap
}))
await backend.close()
