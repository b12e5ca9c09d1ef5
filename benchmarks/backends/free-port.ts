// Finds a port for a server that runs as another program. The port stays free until that program starts, which may be some time later.
import getPort, { portNumbers } from 'get-port'

// The ports are below those that systems assign to connections and to `listen(0)` (from 32768 on Linux, from 49152 elsewhere), so that no
// other program gets one of them by chance.
const FIRST = 16_384
const LAST = 32_767
/** The distance between the ports at which processes with successive ids begin to search. */
const APART = 64

const from = FIRST + process.pid * APART % (LAST - FIRST)

/** Returns a free port of 127.0.0.1, and a different one each time. */
export async function freePort (): Promise<number> {
  return await getPort({ host: '127.0.0.1', port: [...portNumbers(from, LAST), ...portNumbers(FIRST, from)], reserve: true })
}
