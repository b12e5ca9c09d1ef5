// An application in a process of its own. A file sets its wall clock, and its monotonic clock does not jump.
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { env } from './programs.js'
import { ServerProcess } from './server-process.js'

const CHILD = fileURLToPath(new URL('children/served.js', import.meta.url))

// The files that faketime leaves after a killed process contain its pid, and prevent the next process with that pid from starting.
const leftBy = (pid: number): string[] => [`/dev/shm/faketime_shm_${pid}`, `/dev/shm/sem.faketime_sem_${pid}`]
const MOST_TRIES = 5

/** The library that faketime loads into a process. */
function faketimeLibrary (tries = 1): string {
  try {
    return execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { env, encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch (err) {
    // Left by another process. The next try has another pid.
    if (tries < MOST_TRIES && String(err).includes('File exists')) return faketimeLibrary(tries + 1)
    throw err
  }
}

/** The wall clock of some processes. It needs the program `faketime`. */
export class WallClock {
  readonly #file: string

  constructor (file: string) {
    this.#file = file
    this.set(0)
  }

  /** Sets how many seconds it is ahead of the machine's clock. */
  set (aheadSeconds: number): void {
    writeFileSync(this.#file, `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}`)
  }

  /** The environment of a process that uses it. */
  get env (): Record<string, string> {
    return { LD_PRELOAD: faketimeLibrary(), FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  }
}

export class Served extends ServerProcess {
  readonly #child

  private constructor (options: object, wall: WallClock) {
    super()
    this.#child = fork(CHILD, [JSON.stringify(options)], { env: { ...process.env, ...wall.env } })
    this.#child.once('exit', () => { for (const file of leftBy(this.#child.pid!)) rmSync(file, { force: true }) })
    this.runs(this.#child)
  }

  /** Starts an application with the plugin's `options`, and waits until it is ready. */
  static async start (options: object, wall: WallClock): Promise<Served> {
    const served = new Served(options, wall)
    await once(served.#child, 'message')
    return served
  }

  /** Sends a request, and returns the Cache-Status of the response. */
  async ask (url: string): Promise<string> {
    const told = once(this.#child, 'message') as Promise<[string]>
    this.#child.send(url)
    return (await told)[0]
  }
}
