// memcache-client: loaded when needed, the part of it that is used, and one client of ours.
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'
import type { Settings } from './options.js'

/** What was found under a key. */
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

/** A client, and how it is ended when it is ours. */
export interface Opened {
  readonly client: Client
  readonly close: () => void
}

const PACKAGE = 'memcache-client'

/** The client that was lent, or one of our own. Throws CACHE_ERR_DEPENDENCY_MISSING when memcache-client is not installed. */
export async function openClient (
  { client, server, timeoutMs }: Settings, load: () => Promise<unknown> = () => import('memcache-client')
): Promise<Opened> {
  if (client !== undefined) return { client: client as Client, close () {} }
  const { MemcacheClient } = await load().catch((cause: unknown) => {
    throw new CACHE_ERR_DEPENDENCY_MISSING('memcached', PACKAGE, PACKAGE, { cause })
  }) as Driver
  // A connection on which a command had no answer is given up by the driver itself. It goes by a clock that an event loop which is held
  // up does not stop, so its turn comes later than that of our own waits, even of one that begins anew.
  const own = new MemcacheClient({ server, cmdTimeout: timeoutMs * 2, connectTimeout: timeoutMs, noDelay: true })
  return { client: own, close: () => own.shutdown() }
}
