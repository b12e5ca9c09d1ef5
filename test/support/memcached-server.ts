// A real Memcached for tests, on a port of its own, that can be stopped, killed and restarted.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { until } from './redis-server.js'
import { ServerProcess } from './server-process.js'

/** One server. */
export class MemcachedServer extends ServerProcess {
  readonly port: number
  readonly #args: readonly string[]

  constructor (port: number, args: readonly string[]) {
    super()
    this.port = port
    this.#args = args
  }

  /** The value of the backend's option. */
  get server (): string {
    return `127.0.0.1:${this.port}`
  }

  async start (): Promise<this> {
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
    const child = spawn('memcached', ['-l', '127.0.0.1', '-p', String(this.port), '-U', '0', ...user, ...this.#args], { stdio: 'ignore' })
    this.runs(child)
    await until(`memcached on port ${this.port} takes connections`, async () => {
      if (child.exitCode !== null) throw new Error(`memcached ended with exit code ${child.exitCode}`)
      return await this.say('version\r\n').then((response) => response.startsWith('VERSION'), () => false)
    })
    return this
  }

  /** Sends a line of the server's protocol, and returns the response. */
  async say (line: string): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      socket.write(line)
      const [response] = await once(socket, 'data') as [Buffer]
      return response.toString('latin1')
    } finally {
      socket.destroy()
    }
  }
}

export async function newMemcached (t: Test, args: readonly string[] = []): Promise<MemcachedServer> {
  const server = new MemcachedServer(await freePort(), args)
  t.teardown(() => server.kill())
  return server
}

export async function startMemcached (t: Test, args: readonly string[] = []): Promise<MemcachedServer> {
  return await (await newMemcached(t, args)).start()
}
