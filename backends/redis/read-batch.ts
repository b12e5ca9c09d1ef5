// Reads keys, each with one command. All reads of one turn of the event loop are sent together.
import type { CommandBatch } from './command-batch.js'
import type { Commands } from './commands.js'
import type { Failure } from './errors.js'

/** Two functions that convert a result, or a failure, to the value that `get` returns. Both may throw. */
export interface Reading<T> {
  found (bytes: Buffer | null): T
  failed (error: Failure): T
}

/** Reads keys. */
export class ReadBatch<T> {
  readonly #commands: Commands
  readonly #batch: CommandBatch
  readonly #reading: Reading<T>

  constructor (commands: Commands, batch: CommandBatch, reading: Reading<T>) {
    this.#commands = commands
    this.#batch = batch
    this.#reading = reading
  }

  /** Reads the key `stored`. Returns the result, converted by `reading`. */
  get (stored: string): Promise<T> {
    try {
      const client = this.#commands.client()
      if (client.nodes !== undefined) {
        return this.#commands.on(client, () => client.getBuffer(stored)).then(this.#reading.found, this.#reading.failed)
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, bytes: Buffer | null): void => {
        try {
          resolve(error === null ? this.#reading.found(bytes) : this.#reading.failed(this.#commands.failed(error)))
        } catch (error) {
          reject(error)
        }
      }
      this.#batch.add({ add: (pipeline) => pipeline.getBuffer(stored), done, failed: reject })
    })
  }
}
