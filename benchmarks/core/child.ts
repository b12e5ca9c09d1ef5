// A process of its own that answers calls: started, asked, stopped; it never outlives the one that started it.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { MaybePromise } from './subject.js'

/** An error of the other process, as far as it can be told. */
export interface ToldError {
  readonly message: string
  readonly code?: string
}

type Handlers = Readonly<Record<string, (argument: any) => MaybePromise<unknown>>>
interface Question { readonly id: number, readonly call: string, readonly argument: unknown }
interface Reply { readonly id: number, readonly answer?: unknown, readonly error?: ToldError }
interface Waiting { resolve (answer: any): void, reject (error: Error): void }

const GOODBYE_MS = 5_000

/** The side that asks. */
export class Child {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0

  /** Starts a program that calls `answerCalls`. */
  constructor (program: URL) {
    this.#process = fork(program, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#process.on('message', (reply) => this.#take(reply as Reply))
    this.#process.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`its process ended (${signal ?? `exit code ${code}`})`))
      this.#waiting.clear()
    })
  }

  /** What the other side answers. Rejects with its error, when it ends, and when there is no response within `withinMs`. */
  async call<T> (call: string, argument: unknown, withinMs: number): Promise<T> {
    const id = ++this.#asked
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        timer = setTimeout(() => reject(new Error(`no response within ${Math.round(withinMs / 1_000)} s`)), withinMs)
        if (!this.#process.connected) reject(new Error('its process has ended'))
        else this.#process.send({ id, call, argument } satisfies Question)
      })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** Has it close what it opened; kills it when that takes long. */
  async stop (): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.disconnect()
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), GOODBYE_MS)
    await ended
    clearTimeout(timer)
  }

  #take ({ id, answer, error }: Reply): void {
    const waiting = this.#waiting.get(id)
    if (error === undefined) waiting?.resolve(answer)
    else waiting?.reject(Object.assign(new Error(error.message), error.code !== undefined && { code: error.code }))
  }
}

/** The side that answers. `close` runs when the other side lets go or is gone; then the process ends. */
export function answerCalls (handlers: Handlers, close: () => MaybePromise<unknown>): void {
  process.on('message', async ({ id, call, argument }: Question) => {
    let reply: Reply
    try {
      reply = { id, answer: await handlers[call]!(argument) }
    } catch (error) {
      const { message, code } = error as Error & { code?: unknown }
      reply = { id, error: { message: String(message ?? error), ...(typeof code === 'string' && { code }) } }
    }
    if (process.connected) process.send!(reply)
  })
  // Ctrl-C reaches all processes of a terminal: the one that started this one decides.
  process.on('SIGINT', () => {})
  process.on('disconnect', async () => {
    try {
      await close()
    } finally {
      process.exit()
    }
  })
}
