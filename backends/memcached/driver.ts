// Loads the driver memcache-client when it is needed, declares the part of it that is used, and creates our own client.
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'
import type { Settings } from './options.js'

/** The driver's result for a key that has a value. */
export interface Found { readonly value: unknown }

/** The methods of a client that the backend uses. */
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

/** A client, and the function that closes it, which does nothing if the client is caller-owned. */
export interface Opened {
  readonly client: Client
  readonly close: () => void
}

const PACKAGE = 'memcache-client'

/** Returns the caller-owned client, or creates our own. Throws CACHE_ERR_DEPENDENCY_MISSING if memcache-client is not installed. */
export async function openClient (
  { client, server, timeoutMs }: Settings, load: () => Promise<unknown> = () => import('memcache-client')
): Promise<Opened> {
  if (client !== undefined) return { client: client as Client, close () {} }
  const { MemcacheClient } = await load().catch((cause: unknown) => {
    throw new CACHE_ERR_DEPENDENCY_MISSING('memcached', PACKAGE, `run npm install ${PACKAGE}`, { cause })
  }) as Driver
  // When a command times out, the driver closes its connection, even if only the event loop was blocked. Our own timeout starts again in
  // that case, so the driver's timeout is twice as long, and never passes before ours.
  const own = new MemcacheClient({ server, cmdTimeout: timeoutMs * 2, connectTimeout: timeoutMs, noDelay: true })
  return { client: own, close: () => own.shutdown() }
}
