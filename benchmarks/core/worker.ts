// A child process: one subject, opened, measured as told, closed.
import { answerCalls } from './child.js'
import { Bench } from './bench.js'
import type { Subject, SubjectChoice } from './subject.js'
import type { Workload } from './workload.js'

/** What the first call says. */
export interface Opening extends SubjectChoice {
  /** For each value size that is measured one: the first is the one that everything is measured with. */
  readonly workloads: readonly Workload[]
  /** Whether what was written is to be deleted in the end, because the store stays. */
  readonly tidies: boolean
}

const TIDY_MS = 2_000

let subject: Subject | undefined
let benches: Bench[] = []
let tidies = false

const bench = (at = 0): Bench => benches[at]!

answerCalls({
  async open ({ moduleUrl, options, workloads, tidies: tidiesUp }: Opening) {
    const { open } = await import(moduleUrl) as { open (options: unknown): Promise<Subject> }
    const opened = subject = await open(options)
    benches = workloads.map((workload) => new Bench(opened, workload))
    tidies = tidiesUp
  },
  fill: ({ forMs, at }: { forMs: number, at?: number }) => bench(at).fill(forMs),
  slice: ({ operation, forMs, at }: { operation: 'get' | 'replace' | 'miss', forMs: number, at?: number }) => bench(at).slice(operation, forMs),
  churn: ({ forMs }: { forMs: number }) => bench().churn(forMs),
  delay: ({ perSecond, forMs }: { perSecond: number, forMs: number }) => bench().delay(perSecond, forMs),
  tidy: ({ at }: { at: number }) => bench(at).tidy(Infinity),
  forgetLatencies: () => bench().forgetLatencies(),
  latencies: () => bench().latencies()
}, async () => {
  try {
    if (tidies) for (const one of benches) await one.tidy(TIDY_MS)
  } finally {
    await subject?.close()
  }
})
