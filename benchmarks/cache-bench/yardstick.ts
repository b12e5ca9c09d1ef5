// Does a fixed piece of work, which shows how fast the machine is now, so that runs on different days can be compared.
import { createHash } from 'node:crypto'
import { valueOf } from '../core/workload.js'

const BYTES = 1_200
const FOR_MS = 20
const CHUNK = 50

/** Returns how many times per second the machine does the work. */
export function yardstick (): number {
  const value = valueOf(BYTES, 0)
  const kept = new Map<string, Buffer>()
  const startedAt = performance.now()
  let [times, elapsedMs] = [0, 0]
  for (; elapsedMs < FOR_MS; elapsedMs = performance.now() - startedAt) {
    for (let left = CHUNK; left > 0; left--, times++) {
      kept.set(createHash('sha1').update(value).digest('hex').slice(0, 2) + times % 1_000, Buffer.from(value))
    }
  }
  return times / elapsedMs * 1_000
}
