// A port for a server that is a program of its own. It stays free until that is started, which may be later.
import { once } from 'node:events'
import { createServer } from 'node:net'

// Below those that systems give to connections and to `listen(0)` (from 32768 on Linux, from 49152 elsewhere): nobody is given it by chance.
const FIRST = 16_384
const COUNT = 16_384
/** How far apart processes that were started one after the other begin to look. */
const APART = 64

let looked = 0

/** A port of 127.0.0.1 that nobody listens on, another one each time. Throws when there is none. */
export async function freePort (): Promise<number> {
  while (looked < COUNT) {
    const port = FIRST + (process.pid * APART + looked++) % COUNT
    if (await isFree(port)) return port
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} is free, or all were given`)
}

async function isFree (port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
