// How much of what passes through a collection is left when only young objects are garbage-collected.
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Calls `pass` with 3000 objects of 16 KB, one after another. Returns how many bytes of the last 2000 are left. */
export function leftBytes (pass: (large: object) => void): number {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void
  let number = 0
  const next = (): void => { pass(new Array(2_000).fill(number++)) }
  for (let times = 0; times < 1_000; times++) next()
  gc()
  // Items held now are old from here on, and only young objects are collected.
  const before = getHeapStatistics().used_heap_size
  for (let times = 0; times < 2_000; times++) {
    next()
    if (times % 100 === 0) gc({ type: 'minor' })
  }
  gc({ type: 'minor' })
  return getHeapStatistics().used_heap_size - before
}
