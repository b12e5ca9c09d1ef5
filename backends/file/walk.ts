// Walks over all files in steps of a few milliseconds. It reads the items of a folder one by one, not all at once.
import { opendirSync, readdirSync, type Dir, type Dirent } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, type Folder } from './folder.js'

/** How long one step may block the event loop. */
const STEP_MS = 4

const PAUSE_MS = 1

const SHARD = /^[0-9a-f]{2}$/
const ENTRY = /^[0-9a-f]{64}$/

/** An item in a shard, usually a file. */
export interface FoundFile {
  readonly name: string
  readonly path: string
  /** Whether the item has the name of an entry's file. */
  readonly isEntry: boolean
  readonly isFile: boolean
}

/** Settings for the pauses of a walk. */
export interface Pace {
  /** Called after each pause. Throws to end the walk. */
  readonly goOn: () => void
  /** Whether the pauses keep the process alive. @default always */
  readonly ref?: boolean
}

/** Calls `look` for each item, with pauses. If `look` throws, the walk continues, and throws the first of these errors at the end. */
export async function inSteps<T> (items: Iterable<T>, look: (item: T) => void, { goOn, ref = true }: Pace): Promise<void> {
  const failures: unknown[] = []
  let endsAt = performance.now() + STEP_MS
  for (const item of items) {
    try {
      look(item)
    } catch (error) {
      if (failures.length === 0) failures.push(error)
    }
    if (performance.now() < endsAt) continue
    await sleep(PAUSE_MS, undefined, { ref })
    goOn()
    endsAt = performance.now() + STEP_MS
  }
  if (failures.length > 0) throw failures[0]
}

/** Calls `look` for each item in the shards. Pauses and throws as `inSteps` does. */
export async function walk (folder: Folder, look: (found: FoundFile) => void, pace: Pace): Promise<void> {
  await inSteps(itemsIn(folder), (found) => {
    if (found instanceof Error) throw found
    look(found)
  }, pace)
}

function * itemsIn (folder: Folder): Generator<FoundFile | Error> {
  for (const shard of shardsIn(folder.shardsDir)) {
    const path = folder.shardsDir + '/' + shard
    try {
      yield * filesIn(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') yield error as Error
    }
  }
}

function shardsIn (dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).filter((item) => item.isDirectory() && SHARD.test(item.name)).map(({ name }) => name)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

function * filesIn (shard: string): Generator<FoundFile> {
  const dir: Dir = opendirSync(shard)
  try {
    for (let item: Dirent | null; (item = dir.readSync()) !== null;) {
      const { name } = item
      yield { name, path: shard + '/' + name, isEntry: ENTRY.test(name), isFile: item.isFile() }
    }
  } finally {
    dir.closeSync()
  }
}
