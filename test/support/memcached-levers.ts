// The backend memcached as a subject of the kit, on a real server, near or far away.
import type { Test } from 'tap'
import type { ConformanceSubject } from '../kit/index.js'
import { choosing, FAR_MS, farAway } from './levers.js'
import { startMemcached } from './memcached-server.js'
import { startRelay } from './redis-relay.js'
import { leversOf } from './server-levers.js'

/** Long enough for a busy machine, and shorter than the kit's own timeouts. */
const TIMEOUT = '1500ms'

/** The server has room for 8 MiB, and drops the least recently used entries. */
export async function memcachedSubject (t: Test): Promise<ConformanceSubject> {
  const server = await startMemcached(t, ['-m', '8', '-I', '2m'])
  let opened = 0
  const subject = choosing(() => ({ backend: 'memcached', options: { server: server.server, prefix: `p${opened++}`, timeout: TIMEOUT } }))
  return {
    ...subject,
    cramped: () => subject.open(),
    ...leversOf(server),
    async remove () { await server.say('flush_all\r\n') }
  }
}

export async function farMemcachedSubject (t: Test): Promise<ConformanceSubject> {
  const relay = await startRelay(t, await startMemcached(t), FAR_MS)
  let opened = 0
  return farAway(choosing(() => ({ backend: 'memcached', options: { server: `127.0.0.1:${relay.port}`, prefix: `p${opened++}` } })))
}
