// Reads how much memory a process uses after garbage collection.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The numbers of bytes that are in use. */
export interface Memory {
  /** The bytes in the JavaScript heap and in Buffers. */
  readonly heapBytes: number
  /** The bytes in all pages of the process, including those of native code. */
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
