// Sends changes, and waits until enough replicas have confirmed them, if the option `waitReplicas` asks for that.
import type { Commands } from './commands.js'
import type { Confirmation } from './options.js'
import type { ChangeCommands, Client, CommandResult } from './driver.js'
import { failure, type Failure } from './errors.js'

// The codes of the errors with which a node of a Cluster says that another node serves the key.
const REDIRECTION = /^(MOVED|ASK) /

/** Sends changes. */
export class Replicas {
  readonly #commands: Commands
  readonly #wanted: Confirmation | undefined

  constructor (commands: Commands, wanted: Confirmation | undefined) {
    this.#commands = commands
    this.#wanted = wanted
  }

  /** Sends a change of one key, or on a single server of several keys. Rejects if too few replicas have confirmed it. */
  readonly send = async (client: Client, change: (to: ChangeCommands) => unknown): Promise<unknown> => {
    if (this.#wanted === undefined) return await change(client)
    const { replicas, timeoutMs } = this.#wanted
    // WAIT is about the connection that it is sent on. Therefore it goes behind the change in one pipeline, to the node of the key.
    const pipeline = client.pipeline()
    change(pipeline)
    pipeline.wait(replicas, timeoutMs)
    const [[error, result], [waitError, confirmed]] = await pipeline.exec() as [CommandResult, CommandResult]
    if (error !== null) {
      if (!REDIRECTION.test(error.message)) throw error
      // The driver follows redirections only outside a pipeline, and remembers them. The replicas of that node have not been asked.
      await change(client)
      throw this.#unconfirmed(0)
    }
    if (waitError !== null) throw waitError
    this.#require(confirmed)
    return result
  }

  /** In a Cluster, called after changes on several nodes. Rejects if too few replicas of a master have confirmed what was sent to it. */
  async confirmNodes (): Promise<void> {
    const nodes = this.#wanted === undefined ? undefined : this.#commands.client().nodes?.('master')
    if (nodes === undefined) return
    const { replicas, timeoutMs } = this.#wanted!
    await Promise.all(nodes.map(async (node) => {
      this.#require(await this.#commands.on(node, (node) => node.wait!(replicas, timeoutMs)))
    }))
  }

  #require (confirmed: unknown): void {
    if (!(Number(confirmed) >= this.#wanted!.replicas)) throw this.#unconfirmed(Number(confirmed))
  }

  /** The name is that of a server's error, because the server has responded: the change will not take effect any later. */
  #unconfirmed (confirmed: number): Failure {
    const { replicas, timeoutMs } = this.#wanted!
    const message = `NOREPLICAS ${confirmed} of ${replicas} replicas confirmed the change within ${timeoutMs} ms`
    return failure('NOREPLICAS', message, 'ReplyError')
  }
}
