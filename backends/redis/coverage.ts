// Checks that a walk over the masters of a Cluster reached every slot. It may miss some if a master is down or not known yet.
import type { Commands } from './commands.js'
import type { Client } from './driver.js'
import { failure } from './errors.js'

const SLOTS = 16_384

/** The slots that some nodes serve. */
interface Served {
  /** The number of slots. */
  readonly count: number
  /** The lists of slots that the nodes returned. */
  readonly text: string
}

/** Calls `walk` for each master. If that fails, or a slot is missed or moves, does so once more. Rejects if a slot is missed again. */
export async function covering (commands: Commands, client: Client, walk: (node: Client) => Promise<void>): Promise<void> {
  if (await covers(commands, client, walk)) return
  // Keys may have moved to a node after the walk over that node. The second walk finds them there, because they will not move again.
  await commands.on(client, () => new Promise<unknown>((resolve) => { client.refreshSlotsCache!(resolve) })).catch(() => {})
  const { count } = await once(commands, client, walk)
  if (count === SLOTS) return
  throw failure('ECOVERAGE',
    `${count} of ${SLOTS} slots were reached: a master is away, or slots are moving; what the others hold is untouched, so try again`)
}

/** Calls `walk` for each master. Returns whether every slot was reached and none moved. */
async function covers (commands: Commands, client: Client, walk: (node: Client) => Promise<void>): Promise<boolean> {
  const before = await served(commands, client.nodes!('master'))
  const after = await once(commands, client, walk).catch(() => undefined)
  return after?.count === SLOTS && after.text === before.text && !after.text.includes('[')
}

/** Walks over all masters concurrently. Returns the slots that they serve afterwards. */
async function once (commands: Commands, client: Client, walk: (node: Client) => Promise<void>): Promise<Served> {
  const nodes = client.nodes!('master')
  const walked = await Promise.allSettled(nodes.map(walk))
  const failed = walked.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined
  if (failed !== undefined) throw failed.reason
  return await served(commands, nodes)
}

async function served (commands: Commands, nodes: readonly Client[]): Promise<Served> {
  const told = await Promise.all(nodes.map(async (node) =>
    slotsIn(String(await commands.on(node, (node) => node.cluster!('NODES')).catch(() => '')))))
  const slots = new Set<number>()
  for (const [, first, last] of told.join(' ').matchAll(/(?<=^| )(\d+)(?:-(\d+))?(?= |$)/g)) {
    for (let slot = Number(first); slot <= Number(last ?? first); slot++) slots.add(slot)
  }
  return { count: slots.size, text: told.sort().join('\n') }
}

/** Returns the node's own slots from its response to CLUSTER NODES, such as `0-5460 5462`. Slots that are moving are in brackets. */
function slotsIn (told: string): string {
  const own = told.split('\n').map((line) => line.split(' ')).find((fields) => fields[2]?.split(',').includes('myself'))
  return own?.slice(8).join(' ') ?? ''
}
