// The options of the backend `redis` and their checks. No error shows a value, because it may contain a password.
import {
  aDuration, checkOptions, discreet, exactlyOne, expects, hasMethods, isPositiveInteger, isRecord, kindOf, parseDuration, positiveInteger,
  text, type Check, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { CLIENT_METHODS, type Client } from './driver.js'

/** The members that a caller-owned client must have. The clients of ioredis, for one server or for a Cluster, have all of them. */
export interface LentRedis {
  /** The state of the client's connection, by ioredis' name for it: `ready`, `end` and so on. */
  readonly status: string
  /** Sends GET, and returns bytes. */
  getBuffer (...values: any[]): any
  /** Sends GETRANGE, and returns bytes. */
  getrangeBuffer (...values: any[]): any
  /**
   * Sends EVAL. Sets and claims are scripts. The backend calls the forms that return bytes, which ioredis has but doesn't declare:
   * `evalshaBuffer` if the client has it, and `evalBuffer`.
   */
  eval (...values: any[]): any
  /** Sends UNLINK. Each delete uses it. */
  unlink (...values: any[]): any
  /** Sends SCAN. `clear`, `keys` and `size` use it. In a Cluster, it is called on each master. */
  scan (...values: any[]): any
  /** Returns a pipeline, which sends the reads of one turn of the event loop together. */
  pipeline (...values: any[]): any
}

/** Options of ioredis for the backend's own client: `host`, `port`, `password`, `tls`, `sentinels` with `name`, ... */
export interface RedisConnection {
  /** Some of the nodes of a Cluster. If this is given, the other options apply to each node's connection. */
  readonly cluster?: ReadonlyArray<{
    /** The node's name or address. @default 127.0.0.1 */
    readonly host?: string
    /** The node's port. @default 6379 */
    readonly port?: number
  }>
  /** The timeout of a command, in milliseconds. */
  readonly commandTimeout?: number
  readonly [option: string]: unknown
}

/** Options of the backend `redis`. Exactly one of `client`, `namespace`, `url` and `connection` must be given. */
export interface RedisOptions {
  /** A caller-owned client of ioredis, for example `app.redis`. The backend never closes it or adds listeners to it. @default none */
  client?: LentRedis
  /** The namespace under which @fastify/redis was, or will be, registered. Its client is caller-owned too. @default none */
  namespace?: string
  /** The URL of a server (`redis://`, or `rediss://` with TLS) or the path of a socket. @default none */
  url?: string
  /** Options of ioredis for a server, Sentinels, or a Cluster. @default none */
  connection?: RedisConnection
  /** The prefix of all keys. The backend touches no other keys. @default 'frc:' */
  prefix?: string
  /**
   * The most bytes of one value. A larger value is not sent: its set is refused, and the entry under its key is deleted. If the server's
   * `proto-max-bulk-len` is smaller, and the client may read this setting, it is the limit instead. @default 8388608
   */
  maxValueBytes?: number
  /** How many replicas must confirm each `set`, `delete` and `clear`. If fewer do in time, the call rejects. @default none */
  waitReplicas?: {
    /** The number of replicas. In a Cluster, the number of replicas of the master that has the key. */
    readonly replicas: number
    /** How long the server waits for them. Meanwhile it responds to nothing else on the same connection. @default '200ms' */
    readonly timeout?: Duration
  }
}

type WaitReplicas = NonNullable<RedisOptions['waitReplicas']>

/** The default value of the option `prefix`. */
export const REDIS_PREFIX = 'frc:'

/** The default value of the option `maxValueBytes`: 8 MiB. At 1 Gbit/s, this takes less time than the default deadline of a request. */
export const REDIS_MAX_VALUE_BYTES = 8 * 1024 * 1024

/** The default value of the option `waitReplicas.timeout`. */
export const REDIS_WAIT_REPLICAS_TIMEOUT = '200ms'

/** How long a connection may be silent while a command is under way, unless commands may take longer. */
export const SOCKET_TIMEOUT_MS = 2_000

/** The timeout of a command. Twice this is still less than the guard's deadline for explicit calls. */
export const CALL_TIMEOUT_MS = 900

/** The ways in which the options can say which client to use. */
export type Way =
  | { readonly kind: 'client', readonly client: Client }
  | { readonly kind: 'namespace', readonly namespace: string }
  | { readonly kind: 'url', readonly url: string }
  | { readonly kind: 'connection', readonly connection: Omit<RedisConnection, 'cluster'> }
  | { readonly kind: 'cluster', readonly nodes: readonly object[], readonly connection: Omit<RedisConnection, 'cluster'> }

/** How many replicas must confirm a change, and for how long the server waits for them. */
export interface Confirmation {
  readonly replicas: number
  readonly timeoutMs: number
}

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  readonly way: Way
  readonly prefix: string
  readonly maxValueBytes: number
  readonly timeoutMs: number
  readonly waitReplicas: Confirmation | undefined
}

/** Options of ioredis that keep requests from waiting for a failed server, and writes from being repeated. */
export const SETTLED = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  stringNumbers: false,
  enableAutoPipelining: true
} as const

const isClient = discreet<LentRedis>('a client of ioredis, which app.redis of @fastify/redis is', (value) =>
  hasMethods(value, ...CLIENT_METHODS) && typeof (value as { status?: unknown }).status === 'string')

const client: Check<LentRedis> = (value, who) => {
  const found = isClient(value, who)
  refuseReplicas((found as { options?: object }).options, who)
  return found
}

/** Throws if a client reads from replicas, because a replica may return an entry that was already invalidated on the master. */
export function refuseReplicas (options: { scaleReads?: unknown, role?: unknown } = {}, who: string): void {
  const { scaleReads = 'master', role = 'master' } = options
  if (scaleReads === 'master' && role === 'master') return
  const got = scaleReads === 'master' ? "Sentinel's role 'slave'" : 'scaleReads, which reads from replicas'
  throw new CACHE_ERR_OPTION(
    who,
    "a client that reads from masters, since a replica may not know yet what was invalidated: one with scaleReads: 'master', or url or connection",
    `one with ${got}`)
}

const url = discreet<string>('a URL that begins with redis:// or rediss://, or the path of a socket', (value) =>
  typeof value === 'string' && (value.startsWith('/') || (/^rediss?:\/\//.test(value) && URL.canParse(value))))

const nodes = discreet<object[]>('a list of nodes, { host, port } each', (value) =>
  value === undefined || (Array.isArray(value) && value.length > 0 && value.every(isRecord)))

const connection: Check<RedisConnection> = (value, who) => {
  if (!isRecord(value)) throw new CACHE_ERR_OPTION(who, 'an object with options of ioredis', kindOf(value))
  for (const name of Object.keys(SETTLED)) {
    if (Object.hasOwn(value, name)) throw new CACHE_ERR_OPTION(`${who}.${name}`, 'absent: the backend depends on its own value', 'a value')
  }
  nodes(value.cluster, `${who}.cluster`)
  refuseReplicas(value, who)
  if (value.commandTimeout !== undefined) {
    expects('a positive integer of milliseconds', isPositiveInteger)(value.commandTimeout, `${who}.commandTimeout`)
  }
  return value
}

const waitReplicas: Check<WaitReplicas> = (value, who) => {
  const { replicas, timeout } = checkOptions<WaitReplicas>(who, value, { replicas: positiveInteger, timeout: aDuration })
  return { replicas: positiveInteger(replicas, `${who}.replicas`), timeout: timeout ?? REDIS_WAIT_REPLICAS_TIMEOUT }
}

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: RedisOptions): Settings {
  const given = checkOptions<RedisOptions>('redis', options, {
    client, namespace: text, url, connection, prefix: text, maxValueBytes: positiveInteger, waitReplicas
  })
  exactlyOne('redis', given, ['client', 'namespace', 'url', 'connection'])
  return {
    way: wayOf(given),
    prefix: given.prefix ?? REDIS_PREFIX,
    maxValueBytes: given.maxValueBytes ?? REDIS_MAX_VALUE_BYTES,
    timeoutMs: given.connection?.commandTimeout ?? CALL_TIMEOUT_MS,
    waitReplicas: confirmation(given)
  }
}

function confirmation ({ waitReplicas }: RedisOptions): Confirmation | undefined {
  return waitReplicas && { replicas: waitReplicas.replicas, timeoutMs: parseDuration(waitReplicas.timeout)! }
}

function wayOf ({ client, namespace, url, connection }: RedisOptions): Way {
  if (client !== undefined) return { kind: 'client', client: client as unknown as Client }
  if (namespace !== undefined) return { kind: 'namespace', namespace }
  if (url !== undefined) return { kind: 'url', url }
  // The backend has its own timeout for all clients, so the driver's is not needed.
  const { cluster: nodes, commandTimeout = CALL_TIMEOUT_MS, ...given } = connection as RedisConnection
  // A connection must not be closed for its silence while a command may still take its time.
  const others = { socketTimeout: Math.max(SOCKET_TIMEOUT_MS, commandTimeout + 1_000), ...given }
  return nodes === undefined ? { kind: 'connection', connection: others } : { kind: 'cluster', nodes, connection: others }
}
