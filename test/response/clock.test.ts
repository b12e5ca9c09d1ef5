// The clock: how it follows a system clock that is set, and a machine that sleeps.
import t from 'tap'
import { Clock } from '../../response/clock.js'

const START_AT = Date.UTC(2031, 4, 6, 7, 8, 9, 10)
const HOUR_MS = 3_600_000

/** A machine whose clocks a test moves. */
function machine () {
  const at = { wall: START_AT, steady: 5_000 }
  const setBack: number[] = []
  const clock = new Clock({ wall: () => at.wall, steady: () => at.steady })
  clock.onSetBack = (byMs) => setBack.push(byMs)
  return {
    clock,
    setBack,
    /** The system's clock is set. */
    set (byMs: number) { at.wall += byMs },
    /** Time passes, and the clock is read every second, as on a server. */
    pass (ms: number) {
      for (let left = ms; left > 0; left -= 1_000) {
        at.wall += Math.min(left, 1_000)
        at.steady += Math.min(left, 1_000)
        clock.now()
      }
    },
    /** The machine sleeps. */
    sleep (ms: number) { at.wall += ms }
  }
}

t.test("the clock follows the system's clock", async (t) => {
  const { clock, pass } = machine()
  t.equal(clock.now(), START_AT)
  pass(HOUR_MS)
  t.equal(clock.now(), START_AT + HOUR_MS)
})

t.test('a machine that slept for an hour is an hour older within a second', async (t) => {
  const { clock, pass, sleep, setBack } = machine()
  pass(500)
  sleep(HOUR_MS)
  pass(1_000)
  t.equal(clock.now(), START_AT + 1_500 + HOUR_MS)
  t.same(setBack, [])
})

t.test('a step back that is corrected within seconds is ignored', async (t) => {
  const { clock, pass, set, setBack } = machine()
  pass(1_000)
  set(-HOUR_MS)
  pass(9_000)
  t.equal(clock.now(), START_AT + 10_000, 'time has passed meanwhile')
  set(HOUR_MS)
  pass(60_000)
  t.equal(clock.now(), START_AT + 70_000)
  t.same(setBack, [])
})

t.test('a step back that lasts is followed after ten seconds, and reported once', async (t) => {
  const { clock, pass, set, setBack } = machine()
  pass(1_000)
  set(-HOUR_MS)
  pass(12_000)
  t.equal(clock.now(), START_AT + 13_000 - HOUR_MS)
  pass(60_000)
  t.equal(clock.now(), START_AT + 73_000 - HOUR_MS)
  t.same(setBack, [HOUR_MS])
})

t.test('a wrong step forward is followed, and so is its correction', async (t) => {
  const { clock, pass, set, setBack } = machine()
  set(HOUR_MS)
  pass(2_000)
  t.equal(clock.now(), START_AT + 2_000 + HOUR_MS)
  set(-HOUR_MS)
  pass(12_000)
  t.equal(clock.now(), START_AT + 14_000)
  t.same(setBack, [HOUR_MS])
})

t.test('steps back that are too small to count add up until they do', async (t) => {
  const { clock, pass, set, setBack } = machine()
  for (let step = 0; step < 4; step++) {
    set(-300)
    pass(20_000)
  }
  t.equal(clock.now(), START_AT + 80_000 - 1_200)
  t.same(setBack, [1_200])
})

t.test('a process that is suspended between two readings of its clocks does not take that for a step', async (t) => {
  const at = { wall: START_AT, steady: 0, heldMs: 0 }
  const held = <T>(read: T): T => {
    at.wall += at.heldMs
    at.steady += at.heldMs
    return read
  }
  const clock = new Clock({ wall: () => held(at.wall), steady: () => held(at.steady) })
  at.heldMs = 60_000
  at.steady += 1_000
  at.wall += 1_000
  clock.now()
  at.heldMs = 0
  for (let second = 0; second < 20; second++) {
    at.steady += 1_000
    at.wall += 1_000
    clock.now()
  }
  t.equal(clock.now(), at.wall)
})
