// A port for a server that is a program of its own. It stays free until that is started, which may be later.
import getPort, { portNumbers } from 'get-port'

// Below those that systems give to connections and to `listen(0)` (from 32768 on Linux, from 49152 elsewhere): nobody is given it by
// chance.
const FIRST = 16_384
const LAST = 32_767
/** How far apart processes that were started one after the other begin to look. */
const APART = 64

const from = FIRST + process.pid * APART % (LAST - FIRST)

/** A port of 127.0.0.1 that nobody listens on, another one each time. */
export async function freePort (): Promise<number> {
  return await getPort({ host: '127.0.0.1', port: [...portNumbers(from, LAST), ...portNumbers(FIRST, from)], reserve: true })
}
