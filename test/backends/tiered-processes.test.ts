// Two processes, each with a memory before a shared store: one serves what the other invalidated for a second at most.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Duration } from '../../registry/check.js'
import { startChild } from '../support/child.js'
import { startServer } from '../support/redis-server.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

/** A second, plus the time of reads, timers and another process. */
const SOON_MS = 1_250

const LAST: Record<string, (t: Test, folder: string) => Promise<object>> = {
  sqlite: async (_t, folder) => ({ backend: 'sqlite', options: { path: join(folder, 'cache.db') } }),
  redis: async (t) => ({ backend: 'redis', options: { url: (await startServer(t)).url } })
}

/** What is invalidated for each path, in all ways that take effect within a second with `nearTtl`. */
const CASES: ReadonlyArray<readonly [nearTtl: Duration | undefined, targets: Record<string, object>]> = [
  [undefined, { '/plain': { url: '/plain' }, '/listed': { tags: ['listed'] }, '/named': { tags: ['named'] } }],
  // Then the memory keeps entries for an hour, but not the stamps of tags.
  ['1h', { '/listed': { tags: ['listed'] }, '/named': { tags: ['named'] } }]
]

for (const [last, choiceOf] of Object.entries(LAST)) {
  for (const [nearTtl, targets] of CASES) {
    t.test(
      `tiered: memory before ${last}, ${nearTtl === undefined ? 'without nearTtl' : `with a nearTtl of ${nearTtl}`}: an entry that another process invalidated is served for a second at most`,
      async (t) => {
        const folder = mkdtempSync(join(tmpdir(), 'tiered-'))
        t.teardown(() => rmSync(folder, { recursive: true, force: true }))
        const version = join(folder, 'version')
        const tiers = [{ backend: 'memory' }, await choiceOf(t, folder)]
        const options = JSON.stringify({ backend: 'tiered', options: { tiers, ...(nearTtl !== undefined && { nearTtl }) } })
        const [one, other] = await Promise.all([1, 2].map(async () =>
          await startChild(t, 'tagged-routes.js', [options, version]))) as [string, string]
        const versionAt = async (path: string): Promise<unknown> =>
          (await (await fetch(other + path)).json() as { version: unknown }).version
        writeFileSync(version, 'old')
        // The second read is from the other process's memory.
        for (const path of [...Object.keys(targets), ...Object.keys(targets)]) t.equal(await versionAt(path), 'old')
        writeFileSync(version, 'new')
        for (const target of Object.values(targets)) {
          const { status } = await fetch(`${one}/invalidate`, {
            method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(target)
          })
          t.equal(status, 204)
        }
        await sleep(SOON_MS)
        for (const path of Object.keys(targets)) t.equal(await versionAt(path), 'new', path)
      })
  }
}
