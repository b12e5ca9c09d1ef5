// The file backend with very many files: it scans them in short steps, without reading their contents.
// MANY_FILES=200000 makes as many, in minutes. 20 000 take about ten seconds, and six times as long on a slow disk.
import { join } from 'node:path'
import t from 'tap'
import { testClock } from '../support/clock.js'
import { entry } from '../support/entries.js'
import { filesIn, openFiles } from '../support/files.js'
import { LONGEST_WORK_MS, watchLoop } from '../support/loop.js'
import { newFolder } from '../support/folder.js'
import { sized } from '../support/size.js'

const FILES = Number(process.env.MANY_FILES ?? sized(20_000))
const AT_ONCE = 500
const VALUE = 'v'.repeat(1_200)
const GROWTH_BYTES = 64 * 1024 * 1024

t.setTimeout(900_000)

t.test(`file: ${FILES} files don't block the loop, memory is bounded, and expired entries are removed`, { timeout: 900_000 }, async (t) => {
  const clock = testClock()
  const dir = join(newFolder(t), 'cache')
  const { backend, cleanup } = await openFiles(t, { dir, maxBytes: 2 ** 40 }, clock)
  for (let made = 0; made < FILES; made += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) =>
      backend.set(`key-${made + at}`, entry(VALUE, clock.now() + ((made + at) % 10 === 0 ? 1_000 : 1_000_000)))))
  }
  await clock.pass(1_000)
  const alike = Array.from({ length: FILES }, (_, at) => `key-${at}`).filter((key) => /^key-12.*9$/.test(key)).length
  const before = process.memoryUsage().rss
  const beganAt = performance.now()
  const ended = watchLoop()
  await cleanup()
  t.comment(`${FILES} files were scanned in ${Math.round(performance.now() - beganAt)} ms`)
  t.match(await backend.stats(), { entries: FILES * 0.9, expiredEntries: 0, damagedFiles: 0 })
  t.equal((await backend.keys('key-12*9')).length, alike)
  const { longestWorkMs } = await ended()
  t.ok(longestWorkMs < LONGEST_WORK_MS, `the event loop was blocked for ${longestWorkMs.toFixed(1)} ms at most`)
  t.ok(process.memoryUsage().rss - before < GROWTH_BYTES)
  t.equal(filesIn(dir).length, FILES * 0.9)
})
