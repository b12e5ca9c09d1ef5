// Creates the load: runs wrk against one server for some seconds, and measures the server's CPU time.
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The results of one measurement. */
export interface Sample {
  readonly requestsPerSecond: number
  /** The CPU time of the server's process, including all its threads, per request. */
  readonly cpuUsPerRequest: number
}

export interface LoadOptions {
  readonly seconds: number
  readonly connections: number
  readonly script: string | undefined
}

const CAN_PIN = process.platform === 'linux'
const SERVER_CORE = '0'
const LOAD_CORE = '1'

/** A server in a child process, pinned to one core if the platform can do that. */
export class Target {
  readonly #child: ChildProcess
  readonly #port: number

  private constructor (child: ChildProcess, port: number) {
    this.#child = child
    this.#port = port
  }

  static async start (name: string, env: NodeJS.ProcessEnv): Promise<Target> {
    const child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [name], { env: { ...process.env, ...env } })
    const [{ port }] = await once(child, 'message') as [{ port: number }]
    if (CAN_PIN) await finished(spawn('taskset', ['-a', '-c', '-p', SERVER_CORE, String(child.pid)], { stdio: 'ignore' }))
    return new Target(child, port)
  }

  async measure ({ seconds, connections, script }: LoadOptions): Promise<Sample> {
    const before = await this.#cpuUs()
    const scripts = new URL('../../../benchmarks/served/', import.meta.url)
    const output = await wrk([
      '-t1', `-c${connections}`, `-d${seconds}s`, ...(script === undefined ? [] : ['-s', fileURLToPath(new URL(script, scripts))]),
      `http://127.0.0.1:${this.#port}/item/1`
    ])
    const spentUs = await this.#cpuUs() - before
    const [, requests] = /(\d+) requests in/.exec(output) ?? []
    const [, rate] = /Requests\/sec:\s+([\d.]+)/.exec(output) ?? []
    if (requests === undefined || rate === undefined || /Non-2xx|Socket errors/.test(output)) {
      throw new Error(`wrk failed:\n${output}`)
    }
    return { requestsPerSecond: Number(rate), cpuUsPerRequest: spentUs / Number(requests) }
  }

  stop (): void {
    this.#child.kill()
  }

  async #cpuUs (): Promise<number> {
    this.#child.send('cpu')
    const [{ cpu }] = await once(this.#child, 'message') as [{ cpu: NodeJS.CpuUsage }]
    return cpu.user + cpu.system
  }
}

async function wrk (args: string[]): Promise<string> {
  const [command, all] = CAN_PIN ? ['taskset', ['-c', LOAD_CORE, 'wrk', ...args]] : ['wrk', args]
  const child = spawn(command as string, all as string[], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk) => { output += chunk })
  await finished(child)
  return output
}

async function finished (child: ChildProcess): Promise<void> {
  const [code] = await once(child, 'close').catch((err) => {
    throw new Error('this benchmark needs wrk, and taskset on Linux (Debian: apt-get install wrk)', { cause: err })
  })
  if (code !== 0) throw new Error(`${child.spawnfile} failed; this benchmark needs wrk (Debian: apt-get install wrk)`)
}
