// The unstorage backend: it stores entries in any store for which unstorage has a driver.
import { ByteBackend } from '../registry/byte-store/backend.js'
import { defineBackend } from '../registry/registry.js'
import { openStorage } from './unstorage/driver.js'
import { readOptions, type UnstorageOptions } from './unstorage/options.js'
import { UnstorageStore } from './unstorage/byte-store.js'

export {
  UNSTORAGE_CLEANUP_INTERVAL_MS, UNSTORAGE_PREFIX, UNSTORAGE_TIMEOUT_MS, type LentStorage, type UnstorageDriver, type UnstorageOptions
} from './unstorage/options.js'

export default defineBackend<UnstorageOptions>({
  name: 'unstorage',
  async create (options, context) {
    const settings = readOptions(options)
    return new ByteBackend(new UnstorageStore(await openStorage(settings), settings.prefix), { name: 'unstorage', ...settings }, context)
  }
})
