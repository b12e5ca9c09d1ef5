// A child process: one subject, opened, measured as told, closed.
import { answerCalls } from './child.js'
import { Bench } from './bench.js'
import { removePrivate } from './private-folder.js'
import type { Subject, SubjectChoice } from './subject.js'
import type { Workload } from './workload.js'

/** What the first call says. */
export interface Opening extends SubjectChoice {
  /** The first is the one that everything is measured with; the others are for `fill`, `slice` and `tidy`. */
  readonly workloads: readonly Workload[]
  /** Whether what was written is to be deleted in the end, because the store stays. */
  readonly tidies: boolean
  /** A folder that was made for this subject alone and goes with it. */
  readonly privateFolder?: string
}

const TIDY_MS = 2_000

const ending = new AbortController()
let opening: Opening | undefined
let subject: Subject | undefined
let benches: Bench[] = []
let underWay: Promise<unknown> = Promise.resolve()

/** A call of one bench, which closing waits for. */
function of<T extends { at?: number }> (work: (bench: Bench, argument: T) => Promise<unknown>): (argument: T) => Promise<unknown> {
  return (argument) => {
    const done = work(benches[argument.at ?? 0]!, argument)
    underWay = done.catch(() => {})
    return done
  }
}

answerCalls({
  async open (given: Opening) {
    opening = given
    const { open } = await import(given.moduleUrl) as { open (options: unknown): Promise<Subject> }
    const opened = subject = await open(given.options)
    benches = given.workloads.map((workload, at) => new Bench(opened, workload, { name: String(at), signal: ending.signal }))
  },
  fill: of((bench, { forMs }: { forMs: number, at?: number }) => bench.fill(forMs)),
  slice: of((bench, { operation, forMs }: { operation: 'get' | 'replace' | 'miss', forMs: number, at?: number }) =>
    bench.slice(operation, forMs)),
  churn: of((bench, { forMs }: { forMs: number, at?: number }) => bench.churn(forMs)),
  delay: of((bench, { perSecond, setsInTen, forMs }: { perSecond: number, setsInTen: number, forMs: number, at?: number }) =>
    bench.delay(perSecond, forMs, setsInTen)),
  tidy: of((bench, _: { at: number }) => bench.tidy(Infinity)),
  forgetLatencies: of(async (bench) => bench.forgetLatencies()),
  latencies: of(async (bench) => bench.latencies())
}, async () => {
  ending.abort()
  await underWay
  try {
    if (opening?.tidies === true) for (const one of benches) await one.tidy(TIDY_MS)
  } finally {
    await subject?.close()
    if (opening?.privateFolder !== undefined) removePrivate(opening.privateFolder)
  }
})
