// The tiered backend after its process was killed between writes to two tiers that both persist.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { BackendChoice } from '../../registry/names.js'
import { startBare } from '../support/child.js'
import { choiceOf, NEAR_TTL, NEAR_TTL_MS, wordOf } from '../support/tiered-kill.js'

// Processes start slowly on a busy machine.
t.setTimeout(120_000)

/** The folders of a near and a far tier, as left by a process that was killed where it stopped. */
async function left (t: Test, far: string, stop: string): Promise<{ near: BackendChoice, far: BackendChoice }> {
  const folder = mkdtempSync(join(tmpdir(), 'tiered-kill-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const child = startBare('support/children/tiered.js', folder, far, stop)
  t.equal(String((await once(child.stdout!, 'data'))[0]), 'stopped\n')
  child.kill('SIGKILL')
  t.same(await once(child, 'close'), [null, 'SIGKILL'])
  return { near: choiceOf('file', join(folder, 'near')), far: choiceOf(far, join(folder, 'far')) }
}

/** Opens a backend, reads the key `passedMs` from now, and closes it. */
async function wordIn (choice: BackendChoice, passedMs = 0): Promise<string | undefined> {
  const backend = await builtIns().open(choice, { now: () => Date.now() + passedMs })
  try {
    return wordOf(await backend.get('key'))
  } finally {
    await backend.close()
  }
}

const STOPS: ReadonlyArray<readonly [stop: string, near: string | undefined, far: string]> = [
  ['before the far write', undefined, 'old'],
  ['before the far write is confirmed', undefined, 'new'],
  ['before the near write', undefined, 'new'],
  // The set had not been acknowledged.
  ['before the near delete', 'old', 'new']
]

for (const far of ['sqlite', 'file']) {
  for (const [stop, nearHas, farHas] of STOPS) {
    t.test(`tiered: files before ${far}, killed with SIGKILL ${stop}: no entry is torn, and nothing outdated is served after nearTtl`,
      async (t) => {
        const choices = await left(t, far, stop)
        t.equal(await wordIn(choices.far), farHas)
        t.equal(await wordIn(choices.near), nearHas)
        const tiered = { backend: 'tiered', options: { tiers: [choices.near, choices.far], nearTtl: NEAR_TTL, deadline: '10s' } } as const
        t.equal(await wordIn(tiered), nearHas ?? farHas)
        t.equal(await wordIn(choices.near), nearHas ?? farHas, 'copied')
        t.equal(await wordIn(tiered, NEAR_TTL_MS), farHas)
      })
  }
}
