// A folder of a test's own.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/**
 * Not t.testdir(): tap removes that before what was opened later is closed, so that a store may be writing there; its name is made of
 * the tests' names and grows too long; and other users may not look into the checkout.
 */
export function newFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'response-cache-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
