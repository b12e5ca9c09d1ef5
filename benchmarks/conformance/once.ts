// A child process that runs the suite once, with the suite's origin, the cache in front of the origin, and the suite's client.
import type { ResponseCacheOptions } from 'fastify-response-cache'
import { startProxy, type Preset } from './proxy.js'
import { runTests, startOrigin } from './suite.js'

/** The message with which the parent process starts the run. */
export interface Order {
  readonly suite: string
  readonly preset: Preset
  readonly backend: ResponseCacheOptions
  readonly ids: readonly string[]
  /** The tests whose requests and responses are printed. */
  readonly dumped: readonly string[]
}

process.once('message', async (order: Order) => {
  const over = new AbortController()
  const { app, url } = await startProxy(order.preset, order.backend, await startOrigin(order.suite, over.signal))
  try {
    process.send!(await runTests(order.suite, new Set(order.ids), new Set(order.dumped), url))
  } finally {
    over.abort()
    await app.close()
    process.disconnect()
  }
})
