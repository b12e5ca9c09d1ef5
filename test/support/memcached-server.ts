// A real memcached for tests, on a port of its own, which may be stopped, killed and started again.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { freePort, until } from './redis-server.js'

const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

/** One server. */
export class MemcachedServer {
  readonly port: number
  readonly #args: readonly string[]
  #process: ChildProcess | undefined

  constructor (port: number, args: readonly string[]) {
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
    this.#process = child
    running.add(child)
    child.once('exit', () => { running.delete(child) })
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

  /** SIGSTOP: it hangs with its connections open. */
  stop (): void {
    this.#process?.kill('SIGSTOP')
  }

  /** SIGCONT. */
  goOn (): void {
    this.#process?.kill('SIGCONT')
  }

  /** SIGKILL. */
  async kill (): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
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
