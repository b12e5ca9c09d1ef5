// The backends file and sqlite on volumes: modes as the kubelet sets them, folders writable by others, modes that can't be changed.
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { runChild } from '../support/child.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { openFiles, pathIn } from '../support/files.js'
import { fixModes } from '../support/fixed-modes.js'
import { openSqlite } from '../support/sqlite.js'
import { injecting, needsStrace } from '../support/strace.js'
import { asNobody, needsRoot, needsSetpriv, NOBODY } from '../support/users.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(120_000)

const CHILD = 'support/children/found-files.js'
const GROUP = 2_000

/** What the kubelet does with a volume before each start of a pod with `fsGroup`. */
function asKubelet (volume: string): void {
  execFileSync('chgrp', ['-R', String(GROUP), volume])
  execFileSync('chmod', ['-R', 'g+rwX', volume])
  execFileSync('find', [volume, '-type', 'd', '-exec', 'chmod', 'g+s', '{}', '+'])
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8)

/** Starts a process that opens the backend, reads the key `kept` and sets `name`. Returns its report. */
async function started (backend: string, options: object, name: string, under: string[] = []): Promise<object> {
  const { stdout, stderr } = await runChild(CHILD, { args: [backend, JSON.stringify(options), name], under })
  return JSON.parse(stdout || JSON.stringify({ stderr })) as object
}

/** The options of a backend on a volume whose mount point is root's, as an emptyDir is. */
const VOLUMES: Readonly<Record<string, (volume: string) => object>> = {
  file: (volume) => ({ dir: join(volume, 'cache') }),
  sqlite: (volume) => ({ path: join(volume, 'cache.db') })
}

for (const [backend, optionsOn] of Object.entries(VOLUMES)) {
  t.test(`${backend}: after the kubelet has set modes for fsGroup, each start serves what the previous one stored`,
    { skip: needsSetpriv }, async (t) => {
      const volume = newFolder(t)
      chmodSync(volume, 0o777)
      for (const kept of ['nothing', 'kept', 'kept']) {
        asKubelet(volume)
        t.same(await started(backend, optionsOn(volume), 'kept', asNobody), { kept, set: 'kept', warnings: 0 })
      }
      t.equal(modeOf(volume), '2777', 'the volume is not ours, and is not changed')
    })
}

t.test('file: a folder of ours that others can write is made private again, with its subfolders, also while it is in use',
  async (t) => {
    const dir = join(newFolder(t), 'cache')
    const shard = dirname(pathIn(dir, 'key'))
    for (const mode of [0o2770, 0o770, 0o702, 0o777]) {
      const { backend } = await openFiles(t, { dir })
      await backend.set('key', entry('value'))
      for (const path of [dir, join(dir, 'v1'), shard]) chmodSync(path, mode)
      // Another shard, so that the folders are checked.
      await backend.set(`other-${mode}`, entry('value'))
      await backend.close()
      chmodSync(shard, mode)
      const { backend: second } = await openFiles(t, { dir })
      t.equal(await textAt(second, 'key'), 'value', mode.toString(8))
      await second.set('key', entry('value'))
      for (const path of [dir, join(dir, 'v1'), shard]) t.equal(modeOf(path), '700', path)
    }
  })

t.test('file: a folder that is meant for everybody, such as /tmp, is refused and not changed', async (t) => {
  const dir = join(newFolder(t), 'tmp')
  mkdirSync(dir)
  chmodSync(dir, 0o1777)
  t.match(await failureOf(() => openFiles(t, { dir })), { code: 'CACHE_ERR_OPTION', message: 'its mode is 1777; name a folder in it' })
  t.equal(modeOf(dir), '1777')
})

t.test('file: a folder of another user is refused whatever its mode, and is not changed', { skip: needsRoot }, async (t) => {
  const dir = join(newFolder(t), 'theirs')
  mkdirSync(dir)
  chownSync(dir, NOBODY, NOBODY)
  chmodSync(dir, 0o2770)
  t.match(await failureOf(() => openFiles(t, { dir })), { code: 'CACHE_ERR_OPTION', message: `it belongs to the user ${NOBODY}` })
  t.equal(modeOf(dir), '2770')
})

/** Modes can't be changed: the call fails, or succeeds without an effect. */
const FIXED = ['chmod,fchmod,fchmodat:error=EPERM', 'chmod,fchmod,fchmodat:retval=0']

const WHAT_TO_DO = /does not let modes be changed: mount it so that this user alone has access.*choose a path on another one/s

for (const inject of FIXED) {
  t.test(`file: if chmod fails or does nothing, a folder that others can write is refused with advice (${inject.split(':')[1]})`,
    { skip: needsStrace }, async (t) => {
      const dir = join(newFolder(t), 'cache')
      mkdirSync(dir)
      chmodSync(dir, 0o777)
      const found = await started('file', { dir }, 'one', injecting(inject))
      t.match(found, { stderr: /CACHE_ERR_OPTION.*'file.dir'.*others can write it/s })
      t.match(found, { stderr: WHAT_TO_DO })
    })
}

t.test('file, sqlite: on a volume whose modes are fixed at 777 the first start is already refused, with advice', async (t) => {
  const volume = newFolder(t)
  fixModes(t)
  for (const open of [() => openFiles(t, { dir: join(volume, 'cache') }), () => openSqlite(t, { path: join(volume, 'cache.db') })]) {
    t.match(await failureOf(open), { code: 'CACHE_ERR_OPTION', message: WHAT_TO_DO })
  }
})
