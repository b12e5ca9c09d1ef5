// The driver memcache-client: loaded when needed, the part of it that is used, and our own client.
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'
import type { Settings } from './options.js'

/** The value under a key. */
export interface Found { readonly value: unknown }

/** A client, as far as it is used. */
export interface Client {
  get (key: string): Promise<Found | undefined>
  get (keys: readonly string[]): Promise<Readonly<Record<string, Found>>>
  set (key: string, value: Buffer, options: { lifetime: number }): Promise<unknown>
  delete (key: string): Promise<unknown>
}

interface OwnClient extends Client {
  shutdown (): void
}

interface Driver {
  readonly MemcacheClient: new (options: object) => OwnClient
}

/** A client, and how it is closed unless it is caller-owned. */
export interface Opened {
  readonly client: Client
  readonly close: () => void
}

const PACKAGE = 'memcache-client'

/** The caller-owned client, or our own. Throws CACHE_ERR_DEPENDENCY_MISSING if memcache-client is not installed. */
export async function openClient (
  { client, server, timeoutMs }: Settings, load: () => Promise<unknown> = () => import('memcache-client')
): Promise<Opened> {
  if (client !== undefined) return { client: client as Client, close () {} }
  const { MemcacheClient } = await load().catch((cause: unknown) => {
    throw new CACHE_ERR_DEPENDENCY_MISSING('memcached', PACKAGE, PACKAGE, { cause })
  }) as Driver
  // The driver drops a connection on which a command times out. Its clock does not stop while the event loop is held up, so its timeout
  // is longer than ours, even than one that starts again.
  const own = new MemcacheClient({ server, cmdTimeout: timeoutMs * 2, connectTimeout: timeoutMs, noDelay: true })
  return { client: own, close: () => own.shutdown() }
}
