// A port for a server that runs as another program. It stays free until that program starts, which may be later.
import getPort, { portNumbers } from 'get-port'

// Below the ports that systems assign to connections and to `listen(0)` (from 32768 on Linux, from 49152 elsewhere), so that no other
// program gets one by chance.
const FIRST = 16_384
const LAST = 32_767
/** How far apart successive processes begin to search. */
const APART = 64

const from = FIRST + process.pid * APART % (LAST - FIRST)

/** A free port of 127.0.0.1, a different one each time. */
export async function freePort (): Promise<number> {
  return await getPort({ host: '127.0.0.1', port: [...portNumbers(from, LAST), ...portNumbers(FIRST, from)], reserve: true })
}
