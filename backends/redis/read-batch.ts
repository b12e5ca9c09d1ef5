// Sends all reads that are requested in one turn of the event loop together, in one pipeline.
import type { Commands } from './commands.js'
import type { CommandResult } from './driver.js'
import type { Failure } from './errors.js'

/** Two functions that convert a result, or a failure, to the value that `get` returns. Both may throw. */
export interface Reading<T> {
  found (bytes: Buffer | null): T
  failed (error: Failure): T
}

interface PendingRead<T> {
  readonly stored: string
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** Reads keys, each with one command. */
export class ReadBatch<T> {
  readonly #commands: Commands
  readonly #reading: Reading<T>
  #asked: Array<PendingRead<T>> = []

  constructor (commands: Commands, reading: Reading<T>) {
    this.#commands = commands
    this.#reading = reading
  }

  /** Reads the key `stored`. Returns the result, converted by `reading`. */
  get (stored: string): Promise<T> {
    try {
      // In a Cluster, reads are not sent in a pipeline, so that reads from different nodes do not wait for each other.
      const client = this.#commands.client()
      if (client.nodes !== undefined) {
        return this.#commands.on(client, () => client.getBuffer(stored)).then(this.#reading.found, this.#reading.failed)
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.#asked.push({ stored, resolve, reject })
      if (this.#asked.length === 1) setImmediate(() => { this.#send() })
    })
  }

  /** Sends the reads of this turn. Never rejects: if it fails, the reads reject. */
  async #send (): Promise<void> {
    const asked = this.#asked
    this.#asked = []
    try {
      const results = await this.#commands.run((client) => {
        const pipeline = client.pipeline()
        for (const { stored } of asked) pipeline.getBuffer(stored)
        return pipeline.exec()
      })
      // This waits for one tick, because the driver returns the results of its own batches a tick later, and the order must be kept.
      await new Promise<void>((resolve) => { process.nextTick(resolve) })
      for (let at = 0; at < asked.length; at++) this.#settle(asked[at]!, results[at]!)
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }

  #settle ({ resolve, reject }: PendingRead<T>, [error, bytes]: CommandResult): void {
    try {
      resolve(error === null ? this.#reading.found(bytes) : this.#reading.failed(this.#commands.failed(error)))
    } catch (error) {
      reject(error)
    }
  }
}
