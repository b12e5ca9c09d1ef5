// The HTTP backend: it stores entries in a service that keeps bytes under /cache/<digest>, and uses a pool of connections.
import { defineBackend } from '../registry/registry.js'
import { HttpBackend } from './http/backend.js'
import { loadDriver } from './http/driver.js'
import { readOptions, type HttpOptions } from './http/options.js'

export {
  HTTP_MAX_CONNECTIONS, HTTP_MAX_RETRIES, HTTP_MAX_VALUE_BYTES, HTTP_TIMEOUT_MS, type HttpOptions
} from './http/options.js'

export default defineBackend<HttpOptions>({
  name: 'http',
  async create (options, context) {
    const settings = readOptions(options)
    return new HttpBackend(settings, await loadDriver(), context)
  }
})
