// The memory of a process after garbage collection.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes in use. */
export interface Memory {
  /** The JavaScript heap and the Buffers. */
  readonly heapBytes: number
  /** All pages of the process, including those of native code. */
  readonly rssBytes: number
}

/** Collects the garbage, then reads the memory use. */
export function memoryInUse (): Memory {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heapBytes: heapUsed + external, rssBytes: rss }
}
