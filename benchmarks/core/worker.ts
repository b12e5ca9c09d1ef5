// A child process that opens one subject, measures it on request, and closes it.
import { handleCalls } from './child.js'
import { Bench } from './bench.js'
import { removePrivate } from './private-folder.js'
import type { Subject, SubjectChoice } from './subject.js'
import type { Workload } from './workload.js'

/** The argument of the first call to the child process. */
export interface Opening extends SubjectChoice {
  /** The first workload is used for every measurement, and the others only for `fill`, `slice` and `tidy`. */
  readonly workloads: readonly Workload[]
  /** Whether the entries are deleted at the end, because the store outlives the run. */
  readonly tidies: boolean
  /** A folder that only this subject uses. It is removed when the subject is closed. */
  readonly privateFolder?: string
}

const TIDY_MS = 10_000

const ending = new AbortController()
let opening: Opening | undefined
let subject: Subject | undefined
let benches: Bench[] = []
let pending: Promise<unknown> = Promise.resolve()

/** Returns a handler that calls `work` with one bench. Closing waits for this call. */
function of<T extends { at?: number }> (work: (bench: Bench, argument: T) => Promise<unknown>): (argument: T) => Promise<unknown> {
  return (argument) => {
    const done = work(benches[argument.at ?? 0]!, argument)
    pending = done.catch(() => {})
    return done
  }
}

handleCalls({
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
  discardLatencies: of(async (bench) => bench.discardLatencies()),
  latencies: of(async (bench) => bench.latencies())
}, async () => {
  ending.abort()
  await pending
  try {
    if (opening?.tidies === true) for (const one of benches) await one.tidy(TIDY_MS)
  } finally {
    await subject?.close()
    if (opening?.privateFolder !== undefined) removePrivate(opening.privateFolder)
  }
})
