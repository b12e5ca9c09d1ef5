// Real servers for tests: redis-server or valkey-server on free ports, a Cluster, Sentinels. They are killed when the test ends.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { ServerProcess } from './server-process.js'

const LONGEST_WAIT_MS = 15_000

/** Resolves when `holds` returns true, checked every few milliseconds. Throws when that takes too long. */
export async function until (what: string, holds: () => unknown): Promise<void> {
  const endsAt = performance.now() + LONGEST_WAIT_MS
  while (await holds() !== true) {
    if (performance.now() > endsAt) throw new Error(`waited in vain until ${what}`)
    await wait(5)
  }
}

/** The installed server programs. */
export function serverPrograms (): string[] {
  return ['redis-server', 'valkey-server'].filter((program) => spawnSync(program, ['--version']).status === 0)
}

/** A server that can be stopped, killed and restarted on its port. */
export class RedisServer extends ServerProcess {
  readonly port: number
  readonly #program: string
  readonly #args: readonly string[]
  readonly #folder: string
  #admin: Redis | undefined

  constructor (program: string, port: number, folder: string, args: readonly string[]) {
    super()
    this.#program = program
    this.port = port
    this.#folder = folder
    this.#args = args
  }

  get url (): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** A client for the test itself. */
  get admin (): Redis {
    this.#admin ??= new Redis({ port: this.port, host: '127.0.0.1', lazyConnect: false, retryStrategy: () => 20 }).on('error', () => {})
    return this.#admin
  }

  async start (more: readonly string[] = []): Promise<this> {
    mkdirSync(this.#folder, { recursive: true })
    const own = [
      '--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder, '--save', '', '--appendonly', 'no', '--loglevel', 'notice'
    ]
    // A configuration file, which only a Sentinel needs, comes first.
    const configs = this.#args[0]?.startsWith('--') === false ? 1 : 0
    const child = spawn(this.#program, [...this.#args.slice(0, configs), ...own, ...this.#args.slice(configs), ...more], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.runs(child)
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
    await until(`${this.#program} on port ${this.port} is ready`, () => {
      if (child.exitCode !== null) throw new Error(`${this.#program} ended: ${said}`)
      return /Ready to accept connections|Sentinel ID is|Loading/.test(said)
    })
    return this
  }

  async end (): Promise<void> {
    this.#admin?.disconnect()
    await this.kill()
  }
}

function newFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A server that is not started yet. */
export async function newServer (
  t: Test, { program = 'redis-server', port, args = [] }: { program?: string, port?: number, args?: readonly string[] } = {}
): Promise<RedisServer> {
  const folder = newFolder(t)
  const server = new RedisServer(program, port ?? await freePort(), folder, args)
  t.teardown(() => server.end())
  return server
}

export async function startServer (
  t: Test, options: { program?: string, port?: number, args?: readonly string[] } = {}
): Promise<RedisServer> {
  return await (await newServer(t, options)).start()
}

const SLOTS = 16_384

export interface RedisCluster {
  readonly servers: readonly RedisServer[]
  readonly nodes: ReadonlyArray<{ host: string, port: number }>
}

/** Three masters that share the slots. */
export async function startCluster (t: Test): Promise<RedisCluster> {
  const busPorts = [await freePort(), await freePort(), await freePort()]
  const servers = await Promise.all(busPorts.map((busPort) => startServer(t, {
    args: [
      '--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '2000', '--cluster-port', String(busPort)
    ]
  })))
  for (const [at, server] of servers.entries()) {
    const first = Math.floor(SLOTS * at / servers.length)
    const last = Math.floor(SLOTS * (at + 1) / servers.length) - 1
    await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', first, last)
    await server.admin.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1)
  }
  for (const [at, { port }] of servers.entries()) await servers[0]!.admin.call('CLUSTER', 'MEET', '127.0.0.1', port, busPorts[at]!)
  for (const { admin } of servers) {
    await until('the Cluster is complete', async () => {
      const info = String(await admin.call('CLUSTER', 'INFO'))
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')
    })
  }
  return { servers, nodes: servers.map(({ port }) => ({ host: '127.0.0.1', port })) }
}

export interface Watched {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinel: RedisServer
  /** Between the replica and the master. */
  readonly link: Proxy | undefined
}

/**
 * A master with a replica, and a Sentinel that watches both under the name `main`. With `isLinked`, the replica reaches the master through
 * a proxy. After eight seconds, Sentinel leads it to the master itself.
 */
export async function startSentinel (t: Test, { isLinked = false }: { isLinked?: boolean } = {}): Promise<Watched> {
  const master = await startServer(t, { args: ['--repl-diskless-sync-delay', '0'] })
  const link = isLinked ? await startProxy(t, master) : undefined
  const replica = await startServer(t, { args: ['--replicaof', '127.0.0.1', String((link ?? master).port)] })
  const config = join(newFolder(t), 'sentinel.conf')
  writeFileSync(config, [
    `sentinel monitor main 127.0.0.1 ${master.port} 1`,
    'sentinel down-after-milliseconds main 300',
    'sentinel failover-timeout main 2000',
    ''
  ].join('\n'))
  const sentinel = await startServer(t, { args: [config, '--sentinel'] })
  await until('the Sentinel knows the replica', async () =>
    (await sentinel.admin.call('SENTINEL', 'REPLICAS', 'main') as unknown[]).length === 1 &&
    (await replica.admin.info('replication')).includes('master_link_status:up'))
  return { master, replica, sentinel, link }
}

export interface Proxy {
  readonly port: number
  /** Holds everything back, in both directions. If one side closes a connection, it stays open for the other. */
  hold (): void
  /** Passes on what was held back, and everything from now on. */
  release (): void
  /** The number of open connections of clients. */
  connections (): number
}

/** A proxy before a server that can hold everything back without closing connections. */
export async function startProxy (t: Test, server: RedisServer): Promise<Proxy> {
  const [near, all] = [new Set<Socket>(), new Set<Socket>()]
  let kept: Array<() => void> | undefined
  const pass = (from: Socket, to: Socket): void => {
    const act = (what: () => void): void => { if (kept === undefined) what(); else kept.push(what) }
    all.add(from)
    from.on('data', (chunk) => act(() => to.write(chunk)))
    from.on('error', () => {})
    from.on('close', () => act(() => to.destroySoon()))
  }
  const proxy = createServer((client) => {
    const far = connect(server.port, '127.0.0.1')
    near.add(client)
    client.once('close', () => near.delete(client))
    pass(client, far)
    pass(far, client)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    for (const socket of all) socket.destroy()
    proxy.close()
  })
  return {
    port: (proxy.address() as AddressInfo).port,
    hold () { kept ??= [] },
    release () {
      const acts = kept ?? []
      kept = undefined
      for (const act of acts) act()
    },
    connections: () => near.size
  }
}
