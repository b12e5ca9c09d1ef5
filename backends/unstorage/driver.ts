// Provides a storage: the caller-owned one, or a new one for a driver that was handed over. unstorage is loaded only for a new one.
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'
import type { LentStorage, Settings, UnstorageDriver } from './options.js'

/** A storage, and the function that closes it, which does nothing if the storage is caller-owned. */
export interface Opened {
  readonly storage: LentStorage
  readonly driver: UnstorageDriver
  readonly close: () => Promise<void>
}

interface Package {
  createStorage (options: { driver: UnstorageDriver }): LentStorage & { dispose (): Promise<void> }
}

const PACKAGE = 'unstorage'

/** Returns the caller-owned storage, or creates one for the driver. Throws CACHE_ERR_DEPENDENCY_MISSING if unstorage is not installed. */
export async function openStorage (
  { storage, driver, prefix }: Settings, load: () => Promise<unknown> = () => import('unstorage')
): Promise<Opened> {
  if (storage !== undefined) return { storage, driver: storage.getMount(prefix).driver, async close () {} }
  const { createStorage } = await load().catch((cause: unknown) => {
    throw new CACHE_ERR_DEPENDENCY_MISSING('unstorage', PACKAGE, `run npm install ${PACKAGE}`, { cause })
  }) as Package
  const own = createStorage({ driver: driver as UnstorageDriver })
  return { storage: own, driver: driver as UnstorageDriver, close: () => own.dispose() }
}
