// Walks over our keys with SCAN, in small steps on every master.
import { setImmediate as turn } from 'node:timers/promises'
import type { Commands } from './commands.js'
import { covering } from './coverage.js'
import type { Client } from './driver.js'
import { beginsWith } from './codec.js'

// How many keys the server examines in one step. A step takes the server well below a millisecond.
const SCAN_COUNT = 1_000

type Visit = (stored: string[]) => Promise<unknown>

/** Calls `visit` with those of our keys that begin with `begin` after our prefix. The prefix is left out. A key may occur twice. */
export async function walk (commands: Commands, { prefix, begin }: { prefix: string, begin: string }, visit: Visit): Promise<void> {
  const client = commands.client()
  // The driver adds its `keyPrefix` to the keys of commands, but not to patterns, and does not remove it from the keys that SCAN returns.
  const front = (client.options.keyPrefix ?? '') + prefix
  const scan = async (node: Client): Promise<void> => {
    let cursor = '0'
    do {
      const [next, found] = await commands.on(node, (node) => node.scan(cursor, 'MATCH', beginsWith(front + begin), 'COUNT', SCAN_COUNT))
      const ours = found.filter((key) => key.startsWith(front)).map((key) => key.slice(front.length))
      await visit(ours)
      // Without this, many steps in a row that find none of our keys would block the event loop.
      if (ours.length === 0) await turn()
      cursor = next
    } while (cursor !== '0')
  }
  await (client.nodes === undefined ? scan(client) : covering(commands, client, scan))
}
