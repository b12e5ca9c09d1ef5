// Starts a child process that handles calls. The child process never outlives its parent.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { MaybePromise } from './subject.js'

/** An error of the child process, as it is sent to the parent. */
export interface SentError {
  readonly message: string
  readonly code?: string
}

type Handlers = Readonly<Record<string, (argument: any) => MaybePromise<unknown>>>
interface Call { readonly id: number, readonly call: string, readonly argument: unknown }
interface Reply { readonly id: number, readonly result?: unknown, readonly error?: SentError }
interface Waiting { resolve (result: any): void, reject (error: Error): void }

// A child that is killed leaves its folder and its entries behind, so it is given more time than it needs on a busy machine.
const GOODBYE_MS = 20_000

/** The child process, as the parent sees it. */
export class Child {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0

  /** Starts a program that calls `handleCalls`. */
  constructor (program: URL) {
    this.#process = fork(program, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#process.on('message', (reply) => this.#take(reply as Reply))
    this.#process.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`its process ended (${signal ?? `exit code ${code}`})`))
      this.#waiting.clear()
    })
  }

  /** Returns the child's result. Rejects with the child's error, when the child ends, or if there is no response within `withinMs`. */
  async call<T> (call: string, argument: unknown, withinMs: number): Promise<T> {
    const id = ++this.#calls
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        timer = setTimeout(() => reject(new Error(`no response within ${Math.round(withinMs / 1_000)} s`)), withinMs)
        if (!this.#process.connected) reject(new Error('its process has ended'))
        else this.#process.send({ id, call, argument } satisfies Call)
      })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** Lets the child close everything that it opened. Kills the child if that takes long. */
  async stop (): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.disconnect()
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), GOODBYE_MS)
    await ended
    clearTimeout(timer)
  }

  #take ({ id, result, error }: Reply): void {
    const waiting = this.#waiting.get(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(Object.assign(new Error(error.message), error.code !== undefined && { code: error.code }))
  }
}

/** Called in the child process, to handle the parent's calls. When the parent disconnects or ends, calls `close`, then ends the process. */
export function handleCalls (handlers: Handlers, close: () => MaybePromise<unknown>): void {
  process.on('message', async ({ id, call, argument }: Call) => {
    let reply: Reply
    try {
      reply = { id, result: await handlers[call]!(argument) }
    } catch (error) {
      const { message, code } = error as Error & { code?: unknown }
      reply = { id, error: { message: String(message ?? error), ...(typeof code === 'string' && { code }) } }
    }
    if (process.connected) process.send!(reply)
  })
  // Ctrl-C reaches all processes of a terminal. The parent decides when this one ends.
  process.on('SIGINT', () => {})
  process.on('disconnect', async () => {
    try {
      await close()
    } finally {
      process.exit()
    }
  })
}
