// Creates the keys and values of a measurement. They are the same for every subject.

/** How many entries are kept, how large they are, and how many operations are concurrent. */
export interface Workload {
  readonly entries: number
  readonly valueBytes: number
  readonly inFlight: number
}

/** The prefix of all keys, which separates them from the keys of other programs. */
export const KEY_PREFIX = 'cache-bench'

/** Returns `count` keys. Each is as long as the key of a route. */
export function keysOf (kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) =>
    `${KEY_PREFIX}:${process.pid}:${kind}:GET:/products/${String(number).padStart(8, '0')}`)
}

/** Returns the numbers below `count`, in a random order that is the same each time. */
export function shuffled (count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, number) => number)
  let seed = 0x9e3779b9
  for (let at = count - 1; at > 0; at--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    const other = Math.floor(seed / 2 ** 32 * (at + 1))
    ;[order[at], order[other]] = [order[other]!, order[at]!]
  }
  return order
}

/** Returns `bytes` bytes of text that looks like JSON and is different for each `number`. Each call returns a new Buffer. */
export function valueOf (bytes: number, number: number): Buffer {
  // The Buffer does not come from Node's shared pool, because a small value would keep the whole pool alive.
  return Buffer.allocUnsafeSlow(bytes).fill(
    `{"id":${number},"name":"Product number ${number}","price":{"amount":1999,"currency":"EUR"},"inStock":true},`)
}
