// Makes a failing plan as small as it gets in some seconds: whatever it fails without is left out.
import type { Action, Asked, Plan } from './plan.js'

/** What a request can't be without. */
const NEEDED = new Set(['route', 'id', 'host', 'payload', 'who', 'criteria'])

/** The smallest plan that was found for which `fails` is true, as it is for `plan`. */
export async function shrink (plan: Plan, fails: (plan: Plan) => Promise<boolean>, budgetMs: number): Promise<Plan> {
  const endsAt = performance.now() + budgetMs
  let smallest = plan
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false
    for (const candidate of smaller(smallest)) {
      if (performance.now() > endsAt) return smallest
      if (!await fails(candidate)) continue
      smallest = candidate
      isSmaller = true
      break
    }
  }
  return smallest
}

/** Plans with a little less in them, those with much less first. */
function * smaller (plan: Plan): Generator<Plan> {
  const { actions, hooks } = plan
  for (let size = actions.length >> 1; size >= 1; size >>= 1) {
    for (let at = actions.length - size; at >= 0; at -= size) yield { ...plan, actions: actions.toSpliced(at, size) }
  }
  for (let at = 0; at < hooks.length; at++) yield { ...plan, hooks: hooks.toSpliced(at, 1) }
  for (const [at, action] of actions.entries()) {
    for (const less of smallerActions(action)) yield { ...plan, actions: actions.with(at, less) }
  }
}

function * smallerActions (action: Action): Generator<Action> {
  if (action.do !== 'ask') return
  const { requests, cut, pieces, ...ask } = action
  if (cut !== undefined) yield { ...ask, requests }
  if (pieces !== undefined) yield { ...ask, requests, ...(cut !== undefined && { cut }) }
  const broken = cut === undefined ? {} : { cut }
  for (let at = 0; requests.length > 1 && at < requests.length; at++) yield { ...ask, ...broken, requests: requests.toSpliced(at, 1) }
  for (const [at, request] of requests.entries()) {
    for (const less of smallerRequests(request)) yield { ...ask, ...broken, requests: requests.with(at, less) }
  }
}

function * smallerRequests (asked: Asked): Generator<Asked> {
  for (const name of Object.keys(asked)) {
    if (!NEEDED.has(name)) yield Object.fromEntries(Object.entries(asked).filter(([other]) => other !== name)) as unknown as Asked
  }
  if (asked.payload !== 'text') yield { ...asked, payload: 'text' }
  if (asked.id > 1) yield { ...asked, id: 1 }
}
