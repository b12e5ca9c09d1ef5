// The keys and values that every subject gets, the same for all of them.

/** How much is kept, and how many operations are under way. */
export interface Workload {
  readonly entries: number
  readonly valueBytes: number
  readonly inFlight: number
}

/** What keys begin with: told from those of others, and from those of other runs. */
export const KEY_PREFIX = 'cache-bench'

/** `count` keys of the length that a route's key has. */
export function keysOf (kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) =>
    `${KEY_PREFIX}:${process.pid}:${kind}:GET:/products/${String(number).padStart(8, '0')}`)
}

/** The numbers below `count` in a random order that is the same each time. */
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

/** Text as JSON has it, of this many bytes; each call makes bytes of their own, other ones for each `number`. */
export function valueOf (bytes: number, number: number): Buffer {
  // Not of the shared pool, which a small value would keep alive as a whole.
  return Buffer.allocUnsafeSlow(bytes).fill(
    `{"id":${number},"name":"Product number ${number}","price":{"amount":1999,"currency":"EUR"},"inStock":true},`)
}
