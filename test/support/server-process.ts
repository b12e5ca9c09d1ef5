// The process of a server that can be stopped, killed and restarted. None outlives the test.
import { once } from 'node:events'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

const LONGEST_STOP_MS = 5_000

/** The state is the letter after the name, which is in parentheses and may contain some. */
function isStopped (stat: string): boolean {
  return /\) T [^)]*$/.test(readFileSync(stat, 'utf8'))
}

export abstract class ServerProcess {
  #process: ChildProcess | undefined

  /** Sets the current process. */
  protected runs (child: ChildProcess): void {
    this.#process = child
    running.add(child)
    child.once('exit', () => { running.delete(child) })
  }

  /**
   * SIGSTOP: the server hangs with its connections open. Returns when none of its threads runs any more, if that can be seen, because the
   * signal takes time.
   */
  stop (): void {
    if (this.#process?.kill('SIGSTOP') !== true) return
    const threads = `/proc/${this.#process.pid}/task`
    const endsAt = performance.now() + LONGEST_STOP_MS
    while (existsSync(threads) && !readdirSync(threads).every((thread) => isStopped(`${threads}/${thread}/stat`))) {
      if (performance.now() > endsAt) throw new Error('a process did not stop')
    }
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
