// Tests broken backends whose defect only one case of the kit finds. That case must fail, and all other cases must pass.
import t from 'tap'
import { conformance, museum } from './kit/index.js'
import { alone } from './support/breakages/alone.js'
import { ofMap } from './support/breakages/broken.js'

for (const [at, [name, breakage]] of alone.entries()) {
  t.test(`a backend with defect ${at + 1} fails only this case: ${name}`, async (t) => {
    const failed: string[] = []
    for (const { name, run } of [...conformance, ...museum]) {
      await run(ofMap(breakage)(t)).catch((error: Error) => {
        failed.push(name)
        t.comment(`${name}: ${error.message}`)
      })
    }
    t.same(failed, [name])
  })
}
