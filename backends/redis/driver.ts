// Loads the driver (the ioredis on which @fastify/redis depends) when it is first needed, and declares the part of it that is used.
import { createRequire } from 'node:module'
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'

/** The result of one command of a pipeline. */
export type CommandResult = readonly [error: Error | null, value: any]

/** The commands that run scripts. They return text as bytes. A caller-owned client may lack EVALSHA. */
export interface ScriptCommands {
  evalBuffer (script: string, keys: number, ...values: Array<string | number | Buffer>): unknown
  evalshaBuffer? (sha: string, keys: number, ...values: Array<string | number | Buffer>): unknown
}

/** The commands that change keys. */
export interface ChangeCommands extends ScriptCommands {
  unlink (...keys: string[]): unknown
}

/** Commands that are sent together. */
export interface Pipeline extends ChangeCommands {
  getBuffer (key: string): unknown
  wait (replicas: number, timeoutMs: number): unknown
  exec (): Promise<CommandResult[]>
}

/** A client of a server or a Cluster, with the members that the backend uses of every client, including caller-owned ones. */
export interface Client extends ScriptCommands {
  readonly status: string
  readonly options: { readonly keyPrefix?: string | undefined, readonly scaleReads?: unknown, readonly role?: unknown }
  getBuffer (key: string): Promise<Buffer | null>
  getrangeBuffer (key: string, start: number, end: number): Promise<Buffer>
  unlink (...keys: string[]): Promise<unknown>
  pipeline (): Pipeline
  /** Used only on a node of a Cluster. Sends WAIT. */
  wait? (replicas: number, timeoutMs: number): Promise<unknown>
  config? (operation: 'GET', name: string): Promise<unknown>
  scan (cursor: string, ...options: Array<string | number>): Promise<[cursor: string, keys: string[]]>
  /** Only a Cluster's client has this. Returns the clients of its masters. */
  nodes? (role: 'master'): Client[]
  /** Only a Cluster's client has this. Finds out again which node serves which slot, then calls `done`. */
  refreshSlotsCache? (done: (error: unknown) => void): void
  /** Used only on a node of a Cluster. Sends CLUSTER NODES. */
  cluster? (about: 'NODES'): Promise<unknown>
}

/** The methods by which a caller-owned client is recognised. */
export const CLIENT_METHODS = ['getBuffer', 'getrangeBuffer', 'evalBuffer', 'unlink', 'scan', 'pipeline'] as const

/** A connection of our own client. */
export interface Stream {
  readonly bytesRead?: number
  destroy? (error?: Error): unknown
  unref (): unknown
}

/** A client that this backend has created. */
export interface OwnClient extends Client {
  readonly stream?: Stream | null
  readonly reconnectTimeout?: NodeJS.Timeout | null
  /** The timer for the next refresh of the slots. Only a Cluster's client has this. */
  readonly slotsTimer?: NodeJS.Timeout | null
  connect (): Promise<void>
  /** Disconnects. If `reconnect` is true, connects again afterwards. */
  disconnect (reconnect?: boolean): void
  on (event: string, listener: (value: any) => void): this
}

/** The exports of `ioredis` that the backend uses. */
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

/** Loads the driver. Throws CACHE_ERR_DEPENDENCY_MISSING if @fastify/redis is not installed. */
export function loadDriver (load: () => unknown = loadFromPackage): Driver {
  try {
    return load() as Driver
  } catch (cause) {
    throw new CACHE_ERR_DEPENDENCY_MISSING('redis', PACKAGE, `run npm install ${PACKAGE}`, { cause })
  }
}
