// The Keyv backend: it stores entries in any store for which Keyv 5 has an adapter. It calls the adapter directly, not through Keyv.
import { ByteBackend } from '../registry/byte-store/backend.js'
import { defineBackend } from '../registry/registry.js'
import { KeyvStore } from './keyv/byte-store.js'
import { readOptions, type KeyvOptions } from './keyv/options.js'

export {
  KEYV_CLEANUP_INTERVAL_MS, KEYV_PREFIX, KEYV_TIMEOUT_MS, type KeyvAdapter, type KeyvOptions, type LentKeyv
} from './keyv/options.js'

export default defineBackend<KeyvOptions>({
  name: 'keyv',
  create (options, context) {
    const settings = readOptions(options)
    return new ByteBackend(new KeyvStore(settings), { name: 'keyv', ...settings }, context)
  }
})
