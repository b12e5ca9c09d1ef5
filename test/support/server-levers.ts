// Levers of the kit for a server of the tests.
import type { ConformanceSubject } from '../kit/index.js'
import type { ServerProcess } from './server-process.js'

/** The levers of a server that is a process. */
export function leversOf (server: ServerProcess & { start (): Promise<unknown> }): Pick<ConformanceSubject, 'hang' | 'fail' | 'kill'> {
  return {
    hang () {
      server.stop()
      return () => { server.goOn() }
    },
    async fail () {
      await server.kill()
      return async () => { await server.start() }
    },
    async kill () {
      await server.kill()
      await server.start()
    }
  }
}
