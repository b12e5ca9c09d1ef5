// ioredis as @fastify/redis brings it: loaded when first needed, and the part of it that is used.
import { createRequire } from 'node:module'
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'

/** What became of one of several commands that were sent together. */
export type Answer = readonly [error: Error | null, bytes: Buffer | null]

/** Commands that are sent together. */
export interface Pipeline {
  getBuffer (key: string): unknown
  exec (): Promise<Answer[]>
}

/** A client of one server or of a Cluster, as far as this backend uses one that was lent. */
export interface Client {
  readonly status: string
  readonly options: { readonly keyPrefix?: string | undefined, readonly scaleReads?: unknown, readonly role?: unknown }
  getBuffer (key: string): Promise<Buffer | null>
  getrangeBuffer (key: string, start: number, end: number): Promise<Buffer>
  eval (script: string, keys: number, ...values: Array<string | number | Buffer>): Promise<unknown>
  unlink (...keys: string[]): Promise<unknown>
  pipeline (): Pipeline
  config? (operation: 'GET', name: string): Promise<unknown>
  scan (cursor: string, ...options: Array<string | number>): Promise<[cursor: string, keys: string[]]>
  /** Only a client of a Cluster has it. */
  nodes? (role: 'master'): Client[]
  /** Of a Cluster: asks which node serves which slot. Returns undefined at once, and calls back. */
  refreshSlotsCache? (done: (error: unknown) => void): void
  /** Of a node of a Cluster. */
  cluster? (about: 'NODES'): Promise<unknown>
}

/** The methods by which a lent client is known to be one. */
export const CLIENT_METHODS = ['getBuffer', 'getrangeBuffer', 'eval', 'unlink', 'scan', 'pipeline'] as const

/** A connection, as far as a client that this backend made has it. */
export interface Stream {
  readonly bytesRead?: number
  destroy? (error?: Error): unknown
  unref (): unknown
}

/** A client that this backend made. */
export interface OwnClient extends Client {
  readonly stream?: Stream | null
  readonly reconnectTimeout?: NodeJS.Timeout | null
  /** Of a Cluster: when the slots are asked for again. */
  readonly slotsTimer?: NodeJS.Timeout | null
  connect (): Promise<void>
  /** With `true` it connects again. */
  disconnect (reconnect?: boolean): void
  on (event: string, listener: (value: any) => void): this
}

/** What `ioredis` exports. */
export interface Driver {
  new (url: string, options: object): OwnClient
  new (options: object): OwnClient
  readonly Cluster: new (nodes: readonly object[], options: object) => OwnClient
}

const PACKAGE = '@fastify/redis'

function loadFromPackage (): unknown {
  const require = createRequire(import.meta.url)
  return createRequire(require.resolve(PACKAGE))('ioredis')
}

/** The driver. Throws CACHE_ERR_DEPENDENCY_MISSING when @fastify/redis is not installed. */
export function loadDriver (load: () => unknown = loadFromPackage): Driver {
  try {
    return load() as Driver
  } catch (cause) {
    throw new CACHE_ERR_DEPENDENCY_MISSING('redis', PACKAGE, PACKAGE, { cause })
  }
}
