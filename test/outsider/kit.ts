// The kit on the backend, with node:test.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { builtIns } from 'fastify-response-cache'
import { conformance, coordination, faults, museum, type ConformanceSubject } from 'fastify-response-cache/test-kit'
import jsonFile from './index.js'

const folder = mkdtempSync(join(tmpdir(), 'json-file-'))
after(() => rmSync(folder, { recursive: true }))
const registry = builtIns().add('json-file', () => jsonFile)

let at = Date.now()
let opened = 0
const path = () => join(folder, `${opened}.json`)
const again = () => registry.open({ backend: 'json-file', options: { path: path() } }, { now: () => at })

const subject: ConformanceSubject = {
  now: () => at,
  async pass (ms) { at += ms },
  jump (ms) { at += ms },
  open () {
    opened++
    return again()
  },
  reopen: again,
  program: { module: new URL('./program.js', import.meta.url), where: path },
  garble () {
    writeFileSync(path(), '[["a", "YQ==", "for ever"], 5, null')
    return () => {}
  }
}

for (const c of [...conformance, ...faults, ...museum, ...coordination]) {
  test(c.name, async (t) => {
    if (await c.run(subject) === 'skipped') t.skip()
  })
}
