// Runs background tasks from one timer, which does not keep the process alive. Closing cancels all tasks and waits for running ones.

/** A task that was started with `every`. */
export interface BackgroundTask {
  /** Cancels the task. If the task is running, the promise settles when that run has ended. May be called twice. */
  cancel (): Promise<void>
}

/** Lets a backend do work between requests. */
export interface BackgroundTasks {
  /** Calls `run` every `intervalMs` until cancelled. Runs never overlap. A failed run is logged under `name`, and the task continues. */
  every (name: string, intervalMs: number, run: () => unknown): BackgroundTask
}

interface Scheduled {
  readonly name: string
  readonly intervalMs: number
  readonly run: () => unknown
  dueAt: number
  running: Promise<void> | undefined
}

interface WarnLog { warn (details: object, message: string): void }

// The longest delay that setTimeout accepts. With a longer one, it would fire immediately.
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Starts all tasks from one timer. `now` is a monotonic clock that counts milliseconds. */
export class Background implements BackgroundTasks {
  readonly #tasks = new Set<Scheduled>()
  readonly #log: WarnLog
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (log: WarnLog, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  every (name: string, intervalMs: number, run: () => unknown): BackgroundTask {
    const task: Scheduled = { name, intervalMs, run, dueAt: this.#now() + intervalMs, running: undefined }
    if (!this.#closed) {
      this.#tasks.add(task)
      this.#arm()
    }
    return { cancel: () => this.#cancel(task) }
  }

  /** Cancels every task. Settles when all running tasks have ended, or after `deadlineMs`. May be called twice. */
  async close (deadlineMs = 1_000): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    let deadline: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => { deadline = setTimeout(resolve, deadlineMs) })
    await Promise.race([Promise.all([...this.#tasks].map((task) => this.#cancel(task))), late])
    clearTimeout(deadline)
  }

  async #cancel (task: Scheduled): Promise<void> {
    this.#tasks.delete(task)
    if (this.#tasks.size === 0) clearTimeout(this.#timer)
    await task.running
  }

  #arm (): void {
    clearTimeout(this.#timer)
    if (this.#closed || this.#tasks.size === 0) return
    const nextAt = Math.min(...Array.from(this.#tasks, (task) => task.dueAt))
    const waitMs = Math.min(Math.max(nextAt - this.#now(), 0), LONGEST_TIMER_MS)
    this.#timer = setTimeout(() => this.#tick(), waitMs).unref()
  }

  #tick (): void {
    const at = this.#now()
    for (const task of this.#tasks) {
      if (task.dueAt > at) continue
      task.dueAt = at + task.intervalMs
      if (task.running !== undefined) continue
      task.running = this.#run(task).finally(() => { task.running = undefined })
    }
    this.#arm()
  }

  async #run (task: Scheduled): Promise<void> {
    try {
      await task.run()
    } catch (err) {
      this.#log.warn({ err, task: task.name }, 'cache: a background task failed, it will run again')
    }
  }
}
