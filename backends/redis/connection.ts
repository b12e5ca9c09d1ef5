// The way to a client: lent, found by its namespace, or one of our own that is connected again whenever it was lost.
import { setTimeout as after } from 'node:timers'
import { Deadline } from '../../registry/deadline.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { noop } from '../../registry/maybe-promise.js'
import type { BackendContext } from '../../registry/registry.js'
import { loadDriver, type Client, type Driver, type OwnClient } from './driver.js'
import { failure, failureOf, type Failure } from './errors.js'
import { refuseReplicas, SETTLED, type Settings, type Way } from './options.js'

/** A way to a client. */
export interface ClientConnection {
  /** A client that can be asked now. Throws when there is none, so that no call ever waits for a connection. */
  client (): Client
  /**
   * `failure`, of a call. Where it means that this server can't do its part, a connection of our own is ended: the next one may lead to
   * another.
   */
  heard (failure: Failure): Failure
  /** Ends a client of our own; one that was lent stays as it is. */
  close (): void
}

// How long opening waits for a server that neither takes a connection nor refuses it.
const OPEN_WAIT_MS = 500
const CONNECT_TIMEOUT_MS = 2_000
const SOCKET_TIMEOUT_MS = 2_000
const LAST_WORDS_MS = 50
// A server that is stopped never says goodbye.
const GOODBYE_MS = 100
const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 2_000

// Said by a server behind an address that may lead to another one by now: a failover leaves the connections to a demoted master open.
// Of a Cluster the driver keeps track by itself.
const LEFT_FOR = new Set(['READONLY', 'LOADING', 'MASTERDOWN'])
// How long a new connection is kept whatever its server says: longer and longer while that stays the same.
const FIRST_STAY_MS = 1_000
const LONGEST_STAY_MS = 16_000

/** The connection for `way`. With a client of our own it settles when that is connected, failed to, or takes long. */
export async function openConnection ({ way }: Settings, context: BackendContext): Promise<ClientConnection> {
  if (way.kind === 'client') return callerConnection(() => way.client)
  if (way.kind === 'namespace') {
    const { namespace } = way
    // At once, where it is there at once.
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
      // A lazy client connects when it is first asked.
      if (client.status === 'ready' || client.status === 'wait') return client
      throw failure('ENOTCONN', `the client that was lent is not connected, its status is '${client.status}'`)
    },
    heard (failed) {
      if (LEFT_FOR.has(failed.code)) failed.message += LENT_ADVICE
      return failed
    },
    close () {}
  }
}

// The connection is the application's: only its own options can end it.
const LENT_ADVICE =
  '; the client was lent, so give it reconnectOnError, or the backend a connection of its own, to follow a failover behind one address'

/** Looked up for each call: a plugin that is registered after ours decorates the application later. */
function clientOf (namespace: string, { decoration }: BackendContext): Client {
  const found = decoration?.('redis') as Record<string, unknown> | undefined
  const client = found !== undefined && Object.hasOwn(found, namespace) ? found[namespace] as Client : undefined
  if (typeof client?.getBuffer === 'function') {
    refuseReplicas(client.options, 'redis.namespace')
    return client
  }
  // A client of its own is what the application has where @fastify/redis was registered without a namespace.
  const known = found === undefined || 'status' in found ? [] : Object.keys(found)
  throw new CACHE_ERR_OPTION(
    'redis.namespace', `that of a registered @fastify/redis; known are ${known.length === 0 ? 'none' : known.join(', ')}`, `'${namespace}'`)
}

/** Later with each failure, and never at the same instant as other processes. */
function retryDelayMs (times: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LONGEST_RETRY_MS) * (0.5 + Math.random())
}

function make (Redis: Driver, way: Way): OwnClient {
  const defaults = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    disconnectTimeout: GOODBYE_MS,
    retryStrategy: retryDelayMs,
    // It asks INFO, which needs a right of its own. A server that isn't ready says so to each command.
    enableReadyCheck: false
  }
  if (way.kind === 'url') return new Redis(way.url, { ...defaults, ...SETTLED })
  const { connection } = way as Way & { connection: object }
  // But what Sentinels call the master may be one no more, which only INFO tells.
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
    // Here it holds what waits for a node that is being connected. Nothing is asked of a Cluster that is not ready.
    enableOfflineQueue: true,
    // The driver follows ASK and MOVED, which come while slots move, only for a command that is sent by itself.
    enableAutoPipelining: false,
    redisOptions: { ...ofNodes, ...redisOptions, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, stringNumbers: false }
  })
}

class OwnConnection implements ClientConnection {
  readonly #client: OwnClient
  #trouble: Failure | undefined
  #stayMs = FIRST_STAY_MS
  #stayUntil = 0
  #closed = false

  constructor (driver: Driver, way: Way) {
    this.#client = make(driver, way)
    this.#client.on('error', (error) => { this.#trouble = failureOf(error) })
    this.#client.on('ready', () => { this.#trouble = undefined })
    this.#client.on('end', () => { this.#again() })
    // A Cluster's connections are its nodes', and it asks for the slots now and then.
    for (const own of [letGo, hearOut]) {
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

  heard (failed: Failure): Failure {
    if (LEFT_FOR.has(failed.code)) this.#leave()
    return failed
  }

  close (): void {
    if (this.#closed) return
    this.#closed = true
    this.#client.disconnect()
  }

  /** Ends the connection and makes a new one. What is under way fails, and nothing is sent again. */
  #leave (): void {
    const at = performance.now()
    if (this.#closed || at < this.#stayUntil || this.#client.status !== 'ready') return
    this.#stayMs = at < this.#stayUntil + this.#stayMs ? Math.min(this.#stayMs * 2, LONGEST_STAY_MS) : FIRST_STAY_MS
    this.#stayUntil = at + this.#stayMs
    this.#client.disconnect(true)
  }

  /** The driver gives up when looking for a server fails, as a name that is not known does. */
  #again (): void {
    if (this.#closed) return
    after(() => { if (!this.#closed) this.#client.connect().catch(noop) }, LONGEST_RETRY_MS).unref()
  }
}

/** Neither a connection that nobody waits for nor the next try keeps the process alive. */
function letGo (client: OwnClient): void {
  client.on('connect', () => { client.stream?.unref() })
  client.on('reconnecting', () => { client.reconnectTimeout?.unref() })
}

/**
 * The driver ends a connection on which nothing has come for a while. Its timer comes before the data that arrived while the event
 * loop was held up: a moment later they have been read, and the connection stays.
 */
function hearOut (client: OwnClient): void {
  client.on('connect', () => {
    const { stream } = client
    if (stream?.destroy === undefined) return
    const destroy = stream.destroy.bind(stream)
    stream.destroy = (error) => {
      if (!error?.message.startsWith('Socket timeout')) return destroy(error)
      const before = stream.bytesRead
      new Deadline(LAST_WORDS_MS).wait(() => { if (stream.bytesRead === before) destroy(error) }, { ref: false })
      return stream
    }
  })
}
