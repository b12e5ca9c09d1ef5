// A folder for one test.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/**
 * Not t.testdir(): tap removes that folder before backends that were opened later are closed, so that a store may still be writing
 * there. Its name is made of the tests' names and grows too long. Other users may not be able to read the checkout.
 */
export function newFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'response-cache-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
