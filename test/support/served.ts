// An application in a process of its own, whose wall clock a file sets while the clock that never jumps goes on.
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { env } from './programs.js'
import { ServerProcess } from './server-process.js'

const CHILD = fileURLToPath(new URL('children/served.js', import.meta.url))

/** The wall clock of some processes. It needs the program `faketime`. */
export class WallClock {
  readonly #file: string

  constructor (file: string) {
    this.#file = file
    this.set(0)
  }

  /** By so many seconds it is ahead of the machine's from now on. */
  set (aheadSeconds: number): void {
    writeFileSync(this.#file, `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}`)
  }

  /** The environment of a process that goes by it. */
  get env (): Record<string, string> {
    const library = execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { env, encoding: 'utf8' }).trim()
    return { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  }
}

export class Served extends ServerProcess {
  readonly #child

  private constructor (options: object, wall: WallClock) {
    super()
    this.#child = fork(CHILD, [JSON.stringify(options)], { env: { ...process.env, ...wall.env } })
    this.runs(this.#child)
  }

  /** One that is ready, with the plugin's `options`. */
  static async start (options: object, wall: WallClock): Promise<Served> {
    const served = new Served(options, wall)
    await once(served.#child, 'message')
    return served
  }

  /** The Cache-Status with which it responds. */
  async ask (url: string): Promise<string> {
    const told = once(this.#child, 'message') as Promise<[string]>
    this.#child.send(url)
    return (await told)[0]
  }
}
