// Tests that the list `coordination` finds defects. Each case must fail on the backend broken for it, with the expected message.
import t from 'tap'
import { coordination } from './kit/index.js'
import { leaseMistakes, ofMap } from './support/breakages/index.js'
import { failsItsOwn } from './support/kit.js'

t.test('each case of coordination fails on the backend that is broken for it', async (t) => {
  await failsItsOwn(t, coordination)
})

for (const [mistake, name, breakage] of leaseMistakes) {
  t.test(`the kit finds ${mistake}`, async (t) => {
    const found = coordination.find((one) => one.name === name)
    await t.rejects(found!.run(ofMap(breakage)(t)), { code: 'ERR_ASSERTION' }, name)
  })
}
