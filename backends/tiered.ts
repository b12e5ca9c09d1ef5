// The tiered backend: it consists of two or more backends, which it reads from near to far and writes from far to near.
import { defineBackend } from '../registry/registry.js'
import { TieredBackend } from './tiered/backend.js'
import { readOptions, type TieredOptions } from './tiered/options.js'

export { TIERED_DEADLINE_MS, TIERED_NEAR_TTL_MS, type TieredOptions } from './tiered/options.js'

export default defineBackend<TieredOptions>({
  name: 'tiered',
  create: async (options, context) => await TieredBackend.open(readOptions(options), context)
})
