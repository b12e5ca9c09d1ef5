// node scripts/run-files.js SECONDS JOBS FILE...: runs each file in its own process, several concurrently, and prints the TAP of all.
// It does what `tap run` does, without the loader that records imports. Only coverage needs that, and it costs half a second per file.
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
