// Sends the commands of one turn of the event loop together, in one pipeline and in their order.
import type { Commands } from './commands.js'
import type { CommandResult, Pipeline } from './driver.js'
import type { Send } from './scripts.js'

/** A command that waits for the end of the turn. */
interface WaitingCommand {
  readonly add: (pipeline: Pipeline) => unknown
  readonly done: (...result: CommandResult) => void
  readonly failed: (error: unknown) => void
}

/** The commands of one backend. In a Cluster, nothing is batched, so that commands to different nodes do not wait for each other. */
export class CommandBatch {
  readonly #commands: Commands
  #waiting: WaitingCommand[] = []

  constructor (commands: Commands) {
    this.#commands = commands
  }

  /** Adds a command to the pipeline of this turn. `done` is called with its result, or `failed` if the pipeline could not be sent. */
  add (command: WaitingCommand): void {
    this.#waiting.push(command)
    if (this.#waiting.length === 1) setImmediate(() => { this.#sendAll() })
  }

  /** Sends one command, with the others of this turn. */
  readonly send: Send = (command) => {
    try {
      if (this.#commands.client().nodes !== undefined) return this.#commands.send(command)
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, value: unknown): void => {
        if (error === null) resolve(value)
        else reject(this.#commands.failed(error))
      }
      this.add({ add: command, done, failed: reject })
    })
  }

  /** Never rejects: if it fails, it calls `failed` of each command. */
  async #sendAll (): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    try {
      const results = await this.#commands.run((client) => {
        const pipeline = client.pipeline()
        for (const { add } of waiting) add(pipeline)
        return pipeline.exec()
      })
      // This waits for one tick, because the driver returns the results of its own batches a tick later, and the order must be kept.
      await new Promise<void>((resolve) => { process.nextTick(resolve) })
      for (let at = 0; at < waiting.length; at++) waiting[at]!.done(...results[at]!)
    } catch (error) {
      for (const { failed } of waiting) failed(error)
    }
  }
}
