// A process that uses the backend http in the way of its second argument. Arguments: baseUrl, way.
import { builtIns } from '../../../backends/index.js'

const [baseUrl = '', way = ''] = process.argv.slice(2)
const cache = await builtIns().open({ backend: 'http', options: { baseUrl, timeout: '60s', maxRetries: 100 } })
const value = Buffer.from('value')

const WAYS: Record<string, () => unknown> = {
  async 'use and close' () {
    await cache.set('key', { value, expiresAt: Infinity })
    await cache.get('key')
    await cache.close()
    console.log(process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap').join())
  },
  async 'use and leave' () {
    await cache.set('key', { value, expiresAt: Infinity })
    await cache.get('key')
  },
  // The service responds 503, so the change waits for a retry.
  'leave a retry' () {
    Promise.resolve(cache.set('key', { value, expiresAt: Infinity })).catch(() => {})
  }
}

await WAYS[way]!()
