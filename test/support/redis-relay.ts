// One address that leads to one server after another, like a load balancer or a service name. A failover leaves old connections
// open.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'
import { until, type RedisServer } from './redis-server.js'

export interface Relay {
  readonly port: number
  /** Where connections lead that are made from now on. */
  leadTo (server: RedisServer): void
  /** How many connections were made. */
  made (): number
}

/** A relay to `first`. What the server says takes `delayMs` longer. */
export async function startRelay (t: Test, first: Pick<RedisServer, 'port'>, delayMs = 0): Promise<Relay> {
  let leadsTo = first
  let made = 0
  const all = new Set<Socket>()
  const relay = createServer((near) => {
    made++
    const far = connect(leadsTo.port, '127.0.0.1')
    for (const [from, to] of [[near, far], [far, near]] as const) {
      all.add(from)
      from.on('error', () => {}).on('close', () => { to.destroySoon() })
    }
    near.pipe(far)
    if (delayMs === 0) far.pipe(near)
    else far.on('data', (chunk) => setTimeout(() => near.write(chunk), delayMs))
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.teardown(() => {
    for (const socket of all) socket.destroy()
    relay.close()
  })
  return {
    port: (relay.address() as AddressInfo).port,
    leadTo (server) { leadsTo = server },
    made: () => made
  }
}

/** `replica` follows `master`, and has what that has. */
export async function follow (replica: RedisServer, master: RedisServer): Promise<void> {
  await replica.admin.replicaof('127.0.0.1', master.port)
  await until('the replica follows', async () => (await replica.admin.info('replication')).includes('master_link_status:up'))
}
