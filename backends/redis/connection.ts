// The connection to Redis. It is a caller-owned client, which the options may name by its namespace, or our own client, which reconnects.
import { setTimeout as after } from 'node:timers'
import { Deadline } from '../../registry/deadline.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { noop } from '../../registry/maybe-promise.js'
import type { BackendContext } from '../../registry/registry.js'
import { loadDriver, type Client, type Driver, type OwnClient } from './driver.js'
import { failure, failureOf, type Failure } from './errors.js'
import { refuseReplicas, SETTLED, SOCKET_TIMEOUT_MS, type Settings, type Way } from './options.js'

/** Provides a client. */
export interface ClientConnection {
  /** Returns a connected client. Throws if there is none, so that no command waits for a connection. */
  client (): Client
  /** Returns `failure`, a command's error. If it shows that this is the wrong server, our own client reconnects, perhaps to another one. */
  onFailure (failure: Failure): Failure
  /** Closes our own client. Leaves a caller-owned client open. */
  close (): void
}

// How long opening waits for a server that neither accepts a connection nor refuses it.
const OPEN_WAIT_MS = 500
const CONNECT_TIMEOUT_MS = 2_000
const LATE_DATA_MS = 50
// How long a disconnect waits until the server also closes the connection, which a stopped server never does.
const DISCONNECT_TIMEOUT_MS = 100
const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 2_000

// The errors that show that a server may no longer be the master. After a failover, old connections still lead to the former master, but a
// new connection to the same address may lead to the new master. In a Cluster, the driver handles this.
const WRONG_SERVER = new Set(['READONLY', 'LOADING', 'MASTERDOWN'])
// How long a new connection is kept even if its server responds with such an error. The time doubles if the next connection gets one too.
const FIRST_KEEP_MS = 1_000
const LONGEST_KEEP_MS = 16_000

/** Opens the connection for `way`. For our own client, waits until it has connected or failed to, but for at most OPEN_WAIT_MS. */
export async function openConnection ({ way }: Settings, context: BackendContext): Promise<ClientConnection> {
  if (way.kind === 'client') return callerConnection(() => way.client)
  if (way.kind === 'namespace') {
    const { namespace } = way
    // If the client is already registered, it is checked now; otherwise, it is checked when it is first used.
    const found = context.decoration?.('redis') as Record<string, { options?: object }> | undefined
    if (found !== undefined && Object.hasOwn(found, namespace)) refuseReplicas(found[namespace]!.options, 'redis.namespace')
    return callerConnection(() => clientOf(namespace, context))
  }
  const connection = new OwnConnection(loadDriver(), way)
  await connection.open()
  return connection
}

function callerConnection (find: () => Client): ClientConnection {
  return {
    client () {
      const client = find()
      // 'wait' is the status of a client with `lazyConnect`, which connects at its first command.
      if (client.status === 'ready' || client.status === 'wait') return client
      throw failure('ENOTCONN', `the caller-owned client is not connected, its status is '${client.status}'`)
    },
    onFailure (failed) {
      if (WRONG_SERVER.has(failed.code)) failed.message += CALLER_OWNED_ADVICE
      return failed
    },
    close () {}
  }
}

// The advice is needed because the backend never reconnects a caller-owned client: only that client's own options can do this.
const CALLER_OWNED_ADVICE =
  '; the client is caller-owned: give it reconnectOnError, or give the backend a connection of its own, to follow a failover behind one address'

/** Called for each command, because a plugin that is registered after ours decorates the application only later. */
function clientOf (namespace: string, { decoration }: BackendContext): Client {
  const found = decoration?.('redis') as Record<string, unknown> | undefined
  const client = found !== undefined && Object.hasOwn(found, namespace) ? found[namespace] as Client : undefined
  if (typeof client?.getBuffer === 'function') {
    refuseReplicas(client.options, 'redis.namespace')
    return client
  }
  // If @fastify/redis was registered without a namespace, the decoration is a client.
  const known = found === undefined || 'status' in found ? [] : Object.keys(found)
  throw new CACHE_ERR_OPTION(
    'redis.namespace', `that of a registered @fastify/redis; known are ${known.length === 0 ? 'none' : known.join(', ')}`, `'${namespace}'`)
}

/** Returns the delay before the next attempt. It grows with each failure, and is partly random, so that processes do not retry together. */
function retryDelayMs (times: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LONGEST_RETRY_MS) * (0.5 + Math.random())
}

function make (Redis: Driver, way: Way): OwnClient {
  const defaults = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    retryStrategy: retryDelayMs,
    // The ready check sends INFO, which needs a permission. Without the check, a server that isn't ready still rejects each command.
    enableReadyCheck: false
  }
  if (way.kind === 'url') return new Redis(way.url, { ...defaults, ...SETTLED })
  const { connection } = way as Way & { connection: object }
  // With Sentinels, the ready check is needed: they may name a server that is no longer the master, which only INFO shows.
  const enableReadyCheck = 'sentinels' in connection
  if (way.kind !== 'cluster') {
    return new Redis({ ...defaults, enableReadyCheck, sentinelRetryStrategy: retryDelayMs, ...connection, ...SETTLED })
  }
  const { retryStrategy, ...ofNodes } = defaults
  const { natMap, dnsLookup, ...redisOptions } = connection as Record<string, unknown>
  return new Redis.Cluster(way.nodes, {
    clusterRetryStrategy: retryStrategy,
    ...(natMap !== undefined && { natMap }),
    ...(dnsLookup !== undefined && { dnsLookup }),
    lazyConnect: true,
    // This queue holds commands for a node that is still connecting. If the whole Cluster is not ready, `client()` throws instead.
    enableOfflineQueue: true,
    // While slots move, nodes redirect commands with ASK and MOVED. The driver follows these redirections only outside a pipeline.
    enableAutoPipelining: false,
    redisOptions: { ...ofNodes, ...redisOptions, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, stringNumbers: false }
  })
}

class OwnConnection implements ClientConnection {
  readonly #client: OwnClient
  #trouble: Failure | undefined
  #keepMs = FIRST_KEEP_MS
  #keepUntil = 0
  #closed = false

  constructor (driver: Driver, way: Way) {
    this.#client = make(driver, way)
    this.#client.on('error', (error) => { this.#trouble = failureOf(error) })
    this.#client.on('ready', () => { this.#trouble = undefined })
    this.#client.on('end', () => { this.#connectLater() })
    // In a Cluster, each node has its own connection, and a timer regularly refreshes the list of slots.
    for (const own of [unrefIdle, keepIfDataArrived]) {
      own(this.#client)
      this.#client.on('+node', own)
    }
    for (const event of ['ready', 'refresh']) this.#client.on(event, () => setImmediate(() => { this.#client.slotsTimer?.unref() }))
  }

  async open (): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const connected = this.#client.connect().catch(noop)
    await Promise.race([connected, new Promise<void>((resolve) => { timer = after(resolve, OPEN_WAIT_MS) })])
    clearTimeout(timer)
  }

  client (): Client {
    if (this.#client.status === 'ready') return this.#client
    const { code, message } = this.#trouble ?? failure('ENOTCONN', 'a connection is being made')
    throw failure(code, `not connected: ${message}`)
  }

  onFailure (failed: Failure): Failure {
    if (WRONG_SERVER.has(failed.code)) this.#reconnect()
    return failed
  }

  close (): void {
    if (this.#closed) return
    this.#closed = true
    this.#client.disconnect()
  }

  /** Reconnects, unless the present connection is too new. Commands that are under way fail, and are not sent again. */
  #reconnect (): void {
    const at = performance.now()
    if (this.#closed || at < this.#keepUntil || this.#client.status !== 'ready') return
    this.#keepMs = at < this.#keepUntil + this.#keepMs ? Math.min(this.#keepMs * 2, LONGEST_KEEP_MS) : FIRST_KEEP_MS
    this.#keepUntil = at + this.#keepMs
    this.#client.disconnect(true)
  }

  /** Connects again later. Called when the driver has given up (because a host name can't be resolved, for example). */
  #connectLater (): void {
    if (this.#closed) return
    after(() => { if (!this.#closed) this.#client.connect().catch(noop) }, LONGEST_RETRY_MS).unref()
  }
}

/** Lets the process end while the connection is idle, or while the client waits to connect again. */
function unrefIdle (client: OwnClient): void {
  client.on('connect', () => { client.stream?.unref() })
  client.on('reconnecting', () => { client.reconnectTimeout?.unref() })
}

/**
 * The driver closes a connection that has received nothing for a while. If the event loop was held up, the driver's timer fires before data
 * that has already arrived is read. So we wait a moment first, and keep the connection if some data is read meanwhile.
 */
function keepIfDataArrived (client: OwnClient): void {
  client.on('connect', () => {
    const { stream } = client
    if (stream?.destroy === undefined) return
    const destroy = stream.destroy.bind(stream)
    stream.destroy = (error) => {
      if (!error?.message.startsWith('Socket timeout')) return destroy(error)
      const before = stream.bytesRead
      new Deadline(LATE_DATA_MS).wait(() => { if (stream.bytesRead === before) destroy(error) }, { ref: false })
      return stream
    }
  })
}
