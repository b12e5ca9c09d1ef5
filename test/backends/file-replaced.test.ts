// The file backend's folder when it is removed, renamed or replaced while a process only reads.
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { entry, textAt } from '../support/entries.js'
import { openFiles } from '../support/files.js'
import { newFolder } from '../support/folder.js'

// A file that was changed just now is not held in memory.
const UNTIL_HELD_MS = 2_100

const WAYS: Record<string, (dir: string, other: string) => void> = {
  removed: (dir) => { rmSync(dir, { recursive: true }) },
  renamed: (dir) => { renameSync(dir, `${dir}.old`) },
  replaced (dir, other) {
    renameSync(dir, `${dir}.old`)
    renameSync(other, dir)
  }
}

for (const [name, change] of Object.entries(WAYS)) {
  t.test(`file: a process that only reads sees at once that its folder was ${name}, also for entries held in memory`, async (t) => {
    const folder = newFolder(t)
    const dir = join(folder, 'cache')
    const other = join(folder, 'other')
    const { backend } = await openFiles(t, { dir })
    const elsewhere = await openFiles(t, { dir: other })
    await backend.set('key', entry('old'))
    await elsewhere.backend.set('key', entry('new'))
    await wait(UNTIL_HELD_MS)
    const [first, second] = [await backend.get('key'), await backend.get('key')]
    t.equal(first?.value, second?.value, 'held in memory')
    change(dir, other)
    t.equal(await textAt(backend, 'key'), name === 'replaced' ? 'new' : undefined)
    await backend.set('key', entry('newer'))
    t.equal(await textAt((await openFiles(t, { dir })).backend, 'key'), 'newer')
  })
}
