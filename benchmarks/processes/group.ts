// Four processes on one store, and what one cold key costs them.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Counts, Setup } from './child.js'

/** What one cold key came to. */
export interface Sample extends Counts {
  /** How much longer than the handler the slowest request took. */
  readonly slowestMs: number
}

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

export class Group {
  readonly #children: readonly ChildProcess[]
  readonly #ports: readonly number[]
  readonly #setup: Setup
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Infinity })

  private constructor (setup: Setup, children: readonly ChildProcess[], ports: readonly number[]) {
    this.#setup = setup
    this.#children = children
    this.#ports = ports
  }

  static async start (setup: Setup, processes: number): Promise<Group> {
    const children = Array.from({ length: processes }, () => fork(CHILD, [JSON.stringify(setup)]))
    const started = await Promise.all(children.map(async (child) => (await once(child, 'message') as [{ port: number }])[0]))
    return new Group(setup, children, started.map(({ port }) => port))
  }

  /** Sends requests for a key to all processes, in turn. */
  async coldKey (path: string, requests: number): Promise<Sample> {
    const times = await Promise.all(Array.from({ length: requests }, async (_, at) => await this.#ask(path, at)))
    const all = await Promise.all(this.#children.map(async (child) => await reported(child)))
    const sum = (name: keyof Counts): number => all.reduce((total, counts) => total + counts[name], 0)
    return {
      runs: sum('runs'), claims: sum('claims'), settles: sum('settles'), slowestMs: Math.max(...times) - this.#setup.handlerMs
    }
  }

  stop (): void {
    this.#agent.destroy()
    for (const child of this.#children) child.kill()
  }

  /** Resolves to how long the request took. */
  async #ask (path: string, at: number): Promise<number> {
    const began = performance.now()
    const options = { host: '127.0.0.1', port: this.#ports[at % this.#ports.length]!, path, agent: this.#agent, headers: { host: 'bench' } }
    await new Promise<void>((resolve, reject) => {
      get(options, (response) => { response.resume().on('end', resolve) }).on('error', reject)
    })
    return performance.now() - began
  }
}

async function reported (child: ChildProcess): Promise<Counts> {
  const told = once(child, 'message') as Promise<[Counts]>
  child.send('report')
  return (await told)[0]
}
