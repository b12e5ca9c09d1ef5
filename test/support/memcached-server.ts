// A real memcached for tests, on a port of its own, which may be stopped, killed and started again.
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

  /** As the backend's option has it. */
  get server (): string {
    return `127.0.0.1:${this.port}`
  }

  async start (): Promise<this> {
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
    const child = spawn('memcached', ['-l', '127.0.0.1', '-p', String(this.port), '-U', '0', ...user, ...this.#args], { stdio: 'ignore' })
    this.runs(child)
    await until(`memcached on port ${this.port} takes connections`, async () => {
      if (child.exitCode !== null) throw new Error(`memcached ended with exit code ${child.exitCode}`)
      return await this.say('version\r\n').then((answer) => answer.startsWith('VERSION'), () => false)
    })
    return this
  }

  /** What the server answers to a line of its protocol. */
  async say (line: string): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      socket.write(line)
      const [answer] = await once(socket, 'data') as [Buffer]
      return answer.toString('latin1')
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
