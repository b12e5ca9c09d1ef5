// node scripts/run-files.js SECONDS JOBS FILE...: runs each file in a process of its own, several at once, and prints one TAP of all.
// As `tap run` does, but for the loader that notes what each process imports: only coverage needs it, and it takes half a second of each.
import { t } from 'tap'

const [seconds, jobs, ...files] = process.argv.slice(2)

t.setTimeout(0)
t.jobs = Math.min(Number(jobs), files.length)
// tap adds its loader to NODE_OPTIONS unless it sees it among the arguments.
t.on('spawn', (child) => child.on('preprocess', (options) => { options.execArgv = ['--import=@tapjs/processinfo/import'] }))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => { t.endAll(); process.exit(1) })
for (const file of files) {
  const options = { at: null, stack: '', buffered: files.length > 1, timeout: Number(seconds) * 1_000, stdio: 'inherit' }
  t.spawn(process.execPath, ['--enable-source-maps', file], options, file)
}
